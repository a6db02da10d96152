"""The checker of the runs sees every fault that is planted, names it, and sees none where there is none."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from benchmarks.checker import (
    Acknowledged,
    Comment,
    Counts,
    Fault,
    Received,
    Table,
    Told,
    faults_of_counters,
    faults_of_delivery,
    faults_of_log,
    faults_of_writing,
)

# Two roots; a reply to the first, and one to that reply.
COMMENTS = (
    Comment(11, None, 1, "a", True, True, reply_count=1, descendant_count=2, shown_from=1),
    Comment(12, 11, 2, "b", True, True, reply_count=1, descendant_count=1, shown_from=2),
    Comment(13, None, 3, "c", True, True, reply_count=0, descendant_count=0, shown_from=3),
    Comment(14, 12, 4, "d", True, True, reply_count=0, descendant_count=0, shown_from=4),
)
TABLE = Table(
    post=Counts(comments=4, roots=2, last_number=4),
    comments=COMMENTS,
    events=(Told(1, 11, "a"), Told(2, 12, "b"), Told(3, 13, "c"), Told(4, 14, "d")),
    results={"a": 11, "b": 12, "c": 13, "d": 14},
)
RECEIVED = (
    Received(11, "a", counted=1, at=0),
    Received(12, "b", counted=3, at=1),
    Received(13, "c", counted=3, at=2),
    Received(14, "d", counted=4, at=3),
)
ANSWERS = (Acknowledged("a", 11), Acknowledged("b", 12), Acknowledged("c", 13), Acknowledged("d", 14))


def kinds(faults: Sequence[Fault]) -> list[str]:
    return [fault.kind for fault in faults]


def delivered(received: Sequence[Received], began_after: int = 0) -> list[str]:
    return kinds(faults_of_delivery("someone", received, TABLE, began_after=began_after))


def test_a_run_without_faults_has_none() -> None:
    assert delivered(RECEIVED) == []
    assert faults_of_writing(ANSWERS, [], TABLE) == []
    assert faults_of_log(TABLE) == []
    assert faults_of_counters(TABLE) == []


@pytest.mark.parametrize("place", range(4))
def test_a_frame_that_never_came_is_seen(place: int) -> None:
    assert delivered(RECEIVED[:place] + RECEIVED[place + 1 :]) == ["dropped"]


@pytest.mark.parametrize("place", range(4))
def test_a_frame_that_came_twice_is_seen(place: int) -> None:
    again = RECEIVED[place]._replace(counted=4)
    assert delivered((*RECEIVED, again)) == ["doubled"]


@pytest.mark.parametrize("place", range(3))
def test_two_frames_that_changed_places_are_seen(place: int) -> None:
    first, second = (frame._replace(counted=4) for frame in RECEIVED[place : place + 2])
    assert "disordered" in delivered((*RECEIVED[:place], second, first, *RECEIVED[place + 2 :]))


def test_a_frame_of_another_discussion_is_seen() -> None:
    assert delivered((*RECEIVED, Received(99, "z", counted=4, at=4))) == ["foreign"]


def test_a_frame_with_another_text_is_seen() -> None:
    assert delivered((RECEIVED[0]._replace(body="b"), *RECEIVED[1:])) == ["altered"]


def test_a_frame_that_does_not_count_its_own_comment_is_seen() -> None:
    assert delivered((*RECEIVED[:3], RECEIVED[3]._replace(counted=3))) == ["stale"]


def test_a_frame_older_than_one_before_it_is_seen() -> None:
    assert delivered((RECEIVED[0]._replace(counted=4), *RECEIVED[1:])) == ["stale", "stale"]


def test_who_joins_in_the_middle_is_owed_what_comes_after() -> None:
    assert delivered(RECEIVED[2:], began_after=2) == []
    assert delivered(RECEIVED[3:], began_after=2) == ["dropped"]
    assert delivered(RECEIVED[1:], began_after=2) == ["foreign"]


def test_an_acknowledged_comment_that_is_not_there_is_seen() -> None:
    false = Acknowledged("e", 15)
    assert kinds(faults_of_writing((*ANSWERS, false), [], TABLE)) == ["acknowledged in vain", "forgotten"]


def test_an_act_done_twice_is_seen() -> None:
    twice = replace(TABLE, comments=(*COMMENTS, COMMENTS[3]._replace(id=15, number=5)))
    assert "repeated" in kinds(faults_of_writing(ANSWERS, [], twice))


def test_an_act_answered_with_two_comments_is_seen() -> None:
    found = kinds(faults_of_writing((*ANSWERS, Acknowledged("a", 12)), [], TABLE))
    assert found == ["acknowledged in vain", "forgotten", "answered twice"]


def test_a_key_that_lost_its_result_is_seen() -> None:
    assert kinds(faults_of_writing(ANSWERS, [], replace(TABLE, results={"a": 11, "b": 12, "c": 13}))) == ["forgotten"]


def test_a_comment_that_nobody_wrote_is_seen_and_one_given_up_is_none() -> None:
    assert kinds(faults_of_writing(ANSWERS[:3], [], TABLE)) == ["unasked"]
    assert faults_of_writing(ANSWERS[:3], ["d", "e"], TABLE) == []


def test_a_hole_in_the_log_is_seen() -> None:
    found = kinds(faults_of_log(replace(TABLE, events=(*TABLE.events[:1], *TABLE.events[2:]))))
    assert found == ["gap", "untold"]


def test_an_event_told_twice_is_seen() -> None:
    assert "untold" in kinds(faults_of_log(replace(TABLE, events=(*TABLE.events, Told(5, 14, "d")))))


def test_an_event_at_another_place_than_its_row_says_is_seen() -> None:
    moved = replace(TABLE, comments=(COMMENTS[0]._replace(shown_from=2), *COMMENTS[1:]))
    assert kinds(faults_of_log(moved)) == ["mismatched"]


@pytest.mark.parametrize("wrong", [Counts(5, 2, 4), Counts(4, 1, 4), Counts(4, 2, 5)])
def test_a_wrong_count_of_the_post_is_seen(wrong: Counts) -> None:
    assert kinds(faults_of_counters(replace(TABLE, post=wrong))) == ["miscounted"]


@pytest.mark.parametrize("wrong", [{"reply_count": 2}, {"descendant_count": 1}])
def test_a_wrong_count_of_a_comment_is_seen(wrong: dict[str, int]) -> None:
    table = replace(TABLE, comments=(COMMENTS[0]._replace(**wrong), *COMMENTS[1:]))  # type: ignore[arg-type]  # numbers
    assert kinds(faults_of_counters(table)) == ["miscounted"]


def test_a_number_used_twice_is_seen() -> None:
    assert kinds(faults_of_counters(replace(TABLE, comments=(*COMMENTS[:3], COMMENTS[3]._replace(number=3))))) == [
        "miscounted",
        "misnumbered",
    ]
