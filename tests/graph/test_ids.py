"""Opaque names: what was given out is known again, and nothing else is."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from graph.ids import Malformed, decoded, encoded, global_id, key_of, parse_global_id

NAMES = st.sampled_from(["Post", "Comment", "User", "CommunityMembership"])


@given(name=NAMES, key=st.integers(0, 10**18 - 1))
def test_a_global_id_is_known_again(name: str, key: int) -> None:
    opaque = global_id(name, key)
    assert parse_global_id(opaque) == (name, key)
    assert key_of(opaque, "Nothing", name) == key


def test_a_global_id_never_changes() -> None:
    assert global_id("Post", 1) == "UG9zdDox"
    assert global_id("Comment", 123456) == "Q29tbWVudDoxMjM0NTY"


@given(text=st.text(max_size=200))
def test_what_was_encoded_is_decoded_and_can_stand_in_an_address(text: str) -> None:
    opaque = encoded(text)
    assert decoded(opaque) == text
    assert all(character.isascii() and (character.isalnum() or character in "-_") for character in opaque)


@given(opaque=st.text(max_size=300) | st.text("ABCxyz019-_=+/", max_size=40))
@example("UG9zdDox=")
@example("UG9zdDoy\n")
@example("UG9zdDox\x00")
@example("\ud800")
@example("é")
def test_any_text_is_one_of_ours_or_is_refused(opaque: str) -> None:
    try:
        text = decoded(opaque)
    except Malformed:
        return
    assert encoded(text) == opaque


WRONG_KEYS = ["", "-1", "+1", "01", "1.0", " 1", "1 ", "1\n", "1:2", "٣", "²", "1_0", f"{10**18}", "0" * 18, "x"]


@pytest.mark.parametrize("text", ["", ":", "Post", ":1", "Po st:1", "1Post:1", *(f"Post:{key}" for key in WRONG_KEYS)])
def test_a_text_of_another_form_is_no_global_id(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        parse_global_id(encoded(text))
    assert str(refused.value) == "it is not one of ours"


def test_what_is_too_long_is_not_even_looked_at() -> None:
    with pytest.raises(Malformed) as refused:
        parse_global_id("A" * 201)
    assert str(refused.value) == "it has 201 characters"


def test_an_id_of_another_type_says_what_it_is_and_what_was_expected() -> None:
    with pytest.raises(Malformed) as refused:
        key_of(global_id("User", 1), "Post", "Comment")
    assert str(refused.value) == "it is the id of a User, not of a Post / Comment"
