"""Paths sort as a thread is read."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.comments import paths

numbers = st.integers(1, paths.NUMBERS - 1)


def test_a_segment_has_five_digits() -> None:
    assert [paths.segment(number) for number in (0, 1, 31, 32, paths.NUMBERS - 1)] == [
        "00000",
        "00001",
        "0000V",
        "00010",
        "VVVVV",
    ]


@pytest.mark.parametrize("number", [-1, paths.NUMBERS])
def test_a_number_that_has_no_room_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="from 0 to 33554431"):
        paths.segment(number)


def test_a_path_tells_the_numbers_on_the_way() -> None:
    path = paths.path_below(paths.path_below(None, 7), 45)
    assert path == "000070001D"
    assert paths.depth_of(path) == 1
    assert paths.ancestors_of(path) == ["00007"]
    assert paths.numbers_in(path) == [7, 45]


def test_a_mirrored_path_tells_them_counted_from_the_other_end() -> None:
    assert paths.rpath_below(paths.rpath_below(None, 7), 45) == "VVVVOVVVUI"


def test_a_root_has_no_ancestors() -> None:
    assert paths.ancestors_of(paths.path_below(None, 1)) == []


@pytest.mark.parametrize("text", ["", "0000", "0000W", "000070001d", "00007~"])
def test_what_is_no_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        paths.numbers_in(text)


@given(st.lists(numbers, min_size=2, max_size=20))
def test_segments_sort_as_their_numbers_and_mirrored_ones_the_other_way(some: list[int]) -> None:
    some = sorted(set(some))
    assert all(paths.segment(a) < paths.segment(b) for a, b in pairwise(some))
    assert all(paths.segment(paths.mirrored(a)) > paths.segment(paths.mirrored(b)) for a, b in pairwise(some))


@given(st.lists(numbers, min_size=1, max_size=100))
def test_mirroring_a_path_twice_gives_it_back(some: list[int]) -> None:
    path = "".join(map(paths.segment, some))
    assert paths.numbers_in(path) == some
    assert paths.mirrored_path(paths.mirrored_path(path)) == path


@given(st.lists(numbers, min_size=1, max_size=5), numbers)
def test_a_branch_lies_between_its_row_and_the_place_after_it(some: list[int], reply: int) -> None:
    path = "".join(map(paths.segment, some))
    below = paths.path_below(path, reply)
    assert path < path + paths.BEFORE_DIGITS < below < path + paths.AFTER_DIGITS
    if some[-1] + 1 < paths.NUMBERS:
        assert path + paths.AFTER_DIGITS < path[:-5] + paths.segment(some[-1] + 1)
