"""Phrases: one sentence, in the language of who reads it."""

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import graph
from graph.french import FRENCH
from graph.phrases import language_of, language_wanted, phrase, said
from graph.refusals import Refusal

SOURCES = sorted(Path(graph.__file__).parent.rglob("*.py"))
# Each is called with the message first, or after the status.
SPEAKING = {"phrase", "request_error", "Unacceptable", *(refusal.__name__ for refusal in Refusal.__subclasses__())}


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and named(node) in SPEAKING and node.args:
            yield node


def named(call: ast.Call) -> str:
    return ast.unparse(call.func).split(".")[-1]


def texts(path: Path) -> set[str]:
    """Every text that stands in a module."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.value for node in tree if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def fields(pattern: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}


def test_a_phrase_is_its_english_text() -> None:
    message = phrase("A handle has {shortest} to {limit} characters.", shortest=2, limit=30)
    assert message == "A handle has 2 to 30 characters."


def test_a_phrase_is_said_in_french_with_its_values() -> None:
    message = phrase("A handle has {shortest} to {limit} characters.", shortest=2, limit=30)
    assert said(message, "fr") == "Un pseudo compte de 2 à 30 caractères."
    assert said(message, "fr-CH") == "Un pseudo compte de 2 à 30 caractères."


def test_a_plain_text_is_a_pattern_without_values() -> None:
    assert said("Sign in first.", "fr") == "Connectez-vous d’abord."


def test_what_has_no_translation_is_said_in_english() -> None:
    assert said("Not translated.", "fr") == "Not translated."
    assert said("Sign in first.", "de") == "Sign in first."


def test_a_value_that_is_a_phrase_is_said_in_the_same_language() -> None:
    message = phrase("{subject} has at most {limit} characters.", subject=phrase("A name"), limit=50)
    assert message == "A name has at most 50 characters."
    assert said(message, "fr") == "Un nom compte au plus 50 caractères."


def test_braces_in_a_value_are_text() -> None:
    assert said(phrase("Nobody has the handle {handle}.", handle="{x}"), "fr") == "Personne ne porte le pseudo {x}."


def test_the_language_of_a_locale_is_one_of_ours() -> None:
    assert [language_of(locale) for locale in ("fr-CH", "EN", "de")] == ["fr", "en", "en"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("fr", "fr"),
        ("fr-CH, fr;q=0.9, en;q=0.8, de;q=0.7, *;q=0.5", "fr"),
        ("de, en;q=0.5, fr;q=0.7", "fr"),
        ("en, fr", "en"),
        ("EN-gb;Q=0.3 , FR;q=0.2", "en"),
        ("fr;q=0", None),
        ("de-DE", None),
        ("*", None),
        ("", None),
        ("fr;q=2, en;q=x", None),
    ],
)
def test_the_language_that_a_header_likes_best(header: str, language: str | None) -> None:
    assert language_wanted(header) == language


@given(st.text(st.characters(max_codepoint=255)))
def test_any_header_is_understood_or_passed_over(header: str) -> None:
    assert language_wanted(header) in (None, "en", "fr")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_what_is_said_to_people_is_a_pattern_and_has_a_translation(path: Path) -> None:
    messages = [call.args[1 if named(call) == "Unacceptable" else 0] for call in calls(path)]
    assert [ast.unparse(message) for message in messages if isinstance(message, ast.JoinedStr)] == []
    said_here = {message.value for message in messages if isinstance(message, ast.Constant)}
    assert said_here - FRENCH.keys() == set()


def test_no_translation_is_left_of_what_nobody_says() -> None:
    # What sessions and cursors say is put together where they know nothing of languages.
    cursors = {pattern for pattern in FRENCH if pattern.startswith("The cursor ")}
    written = set().union(*map(texts, (path for path in SOURCES if path.name != "french.py")))
    assert FRENCH.keys() - cursors - written == set()


def test_a_translation_has_the_values_of_its_pattern() -> None:
    assert [pattern for pattern in FRENCH if fields(pattern) != fields(FRENCH[pattern])] == []


def test_french_puts_a_space_that_does_not_break_before_its_marks() -> None:
    assert [text for text in FRENCH.values() if " :" in text or " ;" in text or " ?" in text or " !" in text] == []


def test_translations_stand_in_the_order_of_the_english() -> None:
    assert list(FRENCH) == sorted(FRENCH)
