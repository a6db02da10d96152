"""Phrases: one sentence, in the language of who reads it."""

from graph.phrases import language_of, phrase, said


def test_a_phrase_is_its_english_text() -> None:
    assert phrase("A handle has {shortest} to {limit} characters.", shortest=2, limit=30) == (
        "A handle has 2 to 30 characters."
    )


def test_a_phrase_is_said_in_french_with_its_values() -> None:
    message = phrase("A handle has {shortest} to {limit} characters.", shortest=2, limit=30)
    assert said(message, "fr") == "Un pseudo compte de 2 à 30 caractères."
    assert said(message, "fr-CH") == "Un pseudo compte de 2 à 30 caractères."


def test_a_plain_text_is_a_pattern_without_values() -> None:
    assert said("Sign in first.", "fr") == "Connectez-vous d’abord."


def test_what_has_no_translation_is_said_in_english() -> None:
    assert said("Not translated.", "fr") == "Not translated."
    assert said(phrase("{count} are not translated.", count=2), "fr") == "2 are not translated."
    assert said("Sign in first.", "de") == "Sign in first."


def test_a_value_that_is_a_phrase_is_said_in_the_same_language() -> None:
    assert said(phrase("({inner})", inner=phrase("Sign in first.")), "fr") == "(Connectez-vous d’abord.)"


def test_braces_in_a_value_are_text() -> None:
    assert said(phrase("({inner})", inner="{x}"), "fr") == "({x})"


def test_the_language_of_a_locale() -> None:
    assert (language_of("fr-CH"), language_of("EN"), language_of("de")) == ("fr", "en", "de")
