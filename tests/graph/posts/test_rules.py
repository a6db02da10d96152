"""What a post may be, what its address is made of, and when one may change it."""

import pytest

from graph.posts import rules
from graph.refusals import Conflict, Invalid


def test_a_title_is_kept_without_what_cannot_be_read() -> None:
    assert rules.clean_title("  Faut-il\u00a0publier\u200d ?\x00\n") == "Faut-il\u00a0publier\u200d ?"


@pytest.mark.parametrize("title", ["", "   ", "\n\t", "\x00", "\u00a0"])
def test_a_title_of_nothing_is_refused(title: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_title(title)
    assert refused.value.path == ("input", "title")
    assert str(refused.value) == "A title cannot be empty."


def test_a_title_has_at_most_200_characters() -> None:
    assert len(rules.clean_title(" " + "é" * 200 + " ")) == 200
    with pytest.raises(Invalid) as refused:
        rules.clean_title("é" * 201)
    assert (refused.value.path, refused.value.limit, refused.value.actual) == (("input", "title"), 200, 201)


@pytest.mark.parametrize("summary", [None, "", " \n "])
def test_a_summary_of_nothing_is_none(summary: str | None) -> None:
    assert rules.clean_summary(summary) is None


def test_a_summary_has_at_most_500_characters() -> None:
    assert rules.clean_summary("é" * 500) == "é" * 500
    with pytest.raises(Invalid) as refused:
        rules.clean_summary("é" * 501)
    assert (refused.value.path, refused.value.limit, refused.value.actual) == (("input", "summary"), 500, 501)


def test_a_body_is_kept_as_written_as_safe_html_and_as_plain_text() -> None:
    written = rules.written(" Oui, **sous son nom**.<script>alert(1)</script>\r\n")
    assert written.body == "Oui, **sous son nom**.<script>alert(1)</script>"
    assert "<strong>sous son nom</strong>" in written.html
    assert "<script" not in written.html
    assert written.text.startswith("Oui, sous son nom.")


def test_a_body_of_nothing_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        rules.written(" \r\n ")
    assert refused.value.path == ("input", "body")


def test_a_body_has_at_most_200_000_characters() -> None:
    assert rules.written("mot " * 49_999 + "mots").text.endswith("mots")
    with pytest.raises(Invalid) as refused:
        rules.written("x" * 200_001)
    assert (refused.value.path, refused.value.limit, refused.value.actual) == (("input", "body"), 200_000, 200_001)


@pytest.mark.parametrize("language", [None, "fr", "en-GB", "zh-Hant-TW", "de-1996", "sl-rozaj-biske"])
def test_a_language_is_told_by_its_tag(language: str | None) -> None:
    assert rules.clean_language(language) == language


@pytest.mark.parametrize(
    "language", ["", "f", "français", "fr_FR", "fr-", "-fr", "fr--FR", "en GB", "fr-123456789", "fr" * 9]
)
def test_what_is_no_language_tag_is_refused(language: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.clean_language(language)
    assert refused.value.path == ("input", "language")


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("Faut-il publier ?", "faut-il-publier"),
        ("Été à Noël : l’œuvre d’Ægir", "ete-a-noel-l-oeuvre-d-aegir"),
        ("ﬁnir en Straße", "finir-en-strasse"),
        ("  ¡Hola!  ", "hola"),
        ("Ελληνικά και 日本語", "ελληνικα-και-日本語"),
        ("🙂", "untitled"),
    ],
)
def test_a_slug_is_the_title_as_addresses_have_it(title: str, slug: str) -> None:
    assert rules.free_slug(title, set()) == slug


def test_a_slug_that_is_taken_gets_the_next_free_number() -> None:
    assert rules.free_slug("Noël", {"noel"}) == "noel-2"
    assert rules.free_slug("Noël", {"noel", "noel-2", "noel-4"}) == "noel-3"
    assert rules.free_slug("Noël", {"noel-2"}) == "noel"


@pytest.mark.parametrize("expected", [None, 3])
def test_who_saw_the_present_text_or_does_not_care_may_change_it(expected: int | None) -> None:
    rules.check_revision(expected, 3)


@pytest.mark.parametrize("expected", [2, 4, 0, -1])
def test_who_saw_another_text_may_not_change_it(expected: int) -> None:
    with pytest.raises(Conflict) as refused:
        rules.check_revision(expected, 3)
    assert str(refused.value) == f"Somebody changed it first: it is at revision 3, not {expected}."
    assert refused.value.path == ("input", "expectedRevision")
