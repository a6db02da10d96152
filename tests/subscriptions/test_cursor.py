"""Where a client stands in a stream, as text."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.cursor import BEGINNING, MAX_TOPICS, MalformedCursor, Place, Vector, decode, encode
from subscriptions.log import Entry

URL_SAFE = set(string.ascii_letters + string.digits + "-_")
STREAM = 'commentAdded{"postId":"1"}'

numbers = st.integers(0, 2**48 - 1)
places = st.builds(Place, numbers, numbers)
epochs = st.text(string.hexdigits, max_size=16)
vectors = st.builds(Vector, epochs, st.dictionaries(st.text(), places, min_size=1, max_size=MAX_TOPICS))

HERE = Vector("e1", {"post:1": Place(7, 77), "post:2": Place(9, 99)})
TEXT = encode(HERE, ["post:1", "post:2"], STREAM)


@given(vectors, st.text())
def test_a_cursor_comes_back_as_what_it_was_made_of(vector: Vector, stream: str) -> None:
    topics = list(vector.places)
    text = encode(vector, topics, stream)
    assert decode(text, topics, stream) == vector
    assert set(text) <= URL_SAFE
    assert len(text) < 600


@given(st.data())
def test_no_mutation_of_a_cursor_is_taken_for_a_cursor(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.integers(start, len(TEXT)))
    mutated = TEXT[:start] + data.draw(st.text(st.sampled_from(sorted(URL_SAFE)) | st.characters())) + TEXT[end:]
    if mutated != TEXT:
        with pytest.raises(MalformedCursor):
            decode(mutated, ["post:1", "post:2"], STREAM)


@pytest.mark.parametrize("place", range(len(TEXT)))
def test_no_single_altered_character_goes_unnoticed(place: int) -> None:
    for character in URL_SAFE - {TEXT[place]}:
        with pytest.raises(MalformedCursor):
            decode(TEXT[:place] + character + TEXT[place + 1 :], ["post:1", "post:2"], STREAM)


@given(st.text() | st.text(st.sampled_from(sorted(URL_SAFE)), max_size=2000))
def test_garbage_is_malformed_and_nothing_else(text: str) -> None:
    with pytest.raises(MalformedCursor):
        decode(text, ["post:1"], STREAM)


@pytest.mark.parametrize(
    "text", ["", "=", "\ud800", "é", " ", TEXT + "=", TEXT + "\n", f" {TEXT}", TEXT[:-1], "A" * 2000]
)
def test_known_nasty_texts_are_malformed(text: str) -> None:
    with pytest.raises(MalformedCursor):
        decode(text, ["post:1", "post:2"], STREAM)


@pytest.mark.parametrize(
    ("topics", "stream"),
    [
        (["post:1", "post:2"], 'commentAdded{"postId":"2"}'),
        (["post:2", "post:1"], STREAM),
        (["post:1"], STREAM),
        (["post:1", "post:3"], STREAM),
    ],
)
def test_a_cursor_of_another_stream_is_refused(topics: list[str], stream: str) -> None:
    with pytest.raises(MalformedCursor, match="belongs to another stream"):
        decode(TEXT, topics, stream)


def test_the_reason_can_be_shown_to_who_wrote_the_client() -> None:
    with pytest.raises(MalformedCursor, match=r"^The cursor is cut short or altered\.$"):
        decode(TEXT[:-2], ["post:1", "post:2"], STREAM)


def test_a_stream_has_at_most_32_topics() -> None:
    topics = [f"post:{number}" for number in range(MAX_TOPICS + 1)]
    with pytest.raises(ValueError, match="1 to 32 topics, not 33"):
        encode(Vector("e", dict.fromkeys(topics, BEGINNING)), topics, STREAM)


def test_what_was_dealt_with_moves_the_vector_on_in_its_topic_alone() -> None:
    entry = Entry("post:1", 8, 88, "said", {}, 0)
    assert HERE.past(entry) == Vector("e1", {"post:1": Place(8, 88), "post:2": Place(9, 99)})
    assert HERE.past_all([entry, Entry("post:1", 9, 89, "said", {}, 0)]).places["post:1"] == Place(9, 89)
    assert list(HERE.past(entry).places) == ["post:1", "post:2"]
