"""What a comment may be, how deep a thread goes, and what leaves the tree when a text goes."""

import pytest

from graph.comments import rules
from graph.comments.paths import path_below
from graph.comments.rules import TreeRow
from graph.refusals import Invalid

# No-break spaces, ligatures, and emoji of several characters.
FRENCH = (
    "« C’est\u00a0à dire\u202f: l’œuvre » — ﬁn, 12\u202f000\u00a0€ 👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f 🏳\ufe0f\u200d🌈"
)


@pytest.mark.parametrize("body", ["", " ", "\u00a0\u202f", "\r\n\t", "\x00\x01", "\ufeff"])
def test_a_comment_of_nothing_is_refused(body: str) -> None:
    with pytest.raises(Invalid) as refused:
        rules.written(body)
    assert (str(refused.value), refused.value.path) == ("A comment cannot be empty.", ("input", "body"))


def test_a_comment_has_at_most_20_000_characters_without_its_blank_ends() -> None:
    assert rules.written(" " + "é" * 20_000 + "\n").body == "é" * 20_000
    with pytest.raises(Invalid) as refused:
        rules.written("é" * 20_001)
    assert (refused.value.path, refused.value.limit, refused.value.actual) == (("input", "body"), 20_000, 20_001)


def test_french_text_is_kept_as_it_was_written() -> None:
    written = rules.written(FRENCH)
    assert written.body == FRENCH
    assert written.text == FRENCH


def test_what_was_written_as_html_is_never_run() -> None:
    assert rules.written('<img src=x onerror="alert(1)"> oui').html == (
        '<p>&lt;img src=x onerror="alert(1)"&gt; oui</p>'
    )


def test_a_thread_has_100_levels() -> None:
    assert rules.depth_below(None) == 0
    assert rules.depth_below(98) == 99
    with pytest.raises(Invalid) as refused:
        rules.depth_below(99)
    assert refused.value.path == ("input", "parentId")
    assert (refused.value.limit, refused.value.actual) == (100, 101)


def chain(*rows: tuple[str, int]) -> list[TreeRow]:
    """Each answers the former: (status, shown rows below it)."""
    places: list[TreeRow] = []
    for number, (status, below) in enumerate(rows, 1):
        path = path_below(places[-1].path if places else None, number)
        places.append(TreeRow(number, path, status, below))
    return places


@pytest.mark.parametrize(
    ("above", "comment", "fallen"),
    [
        ([], ("DELETED", 0), [1]),
        ([], ("DELETED", 2), []),  # it stands for its replies
        ([("PUBLISHED", 1)], ("DELETED", 0), [2]),
        ([("DELETED", 1)], ("DELETED", 0), [2, 1]),  # stood for this one alone
        ([("DELETED", 2)], ("DELETED", 0), [2]),  # stands for another too
        ([("DELETED", 2), ("DELETED", 1)], ("DELETED", 0), [3, 2, 1]),
        ([("DELETED", 3), ("DELETED", 1)], ("DELETED", 0), [3, 2]),
        ([("DELETED", 2), ("PUBLISHED", 1)], ("DELETED", 0), [3]),
        ([("PUBLISHED", 2), ("DELETED", 1)], ("DELETED", 0), [3, 2]),
        ([("PENDING", 1)], ("DELETED", 0), [2, 1]),  # nobody else sees a place that waits for approval
        ([("DELETED", 2), ("DELETED", 1)], ("DELETED", 1), []),
    ],
)
def test_what_leaves_the_tree_is_what_stands_for_nothing(
    above: list[tuple[str, int]], comment: tuple[str, int], fallen: list[int]
) -> None:
    *ancestors, place = chain(*above, comment)
    assert [gone.id for gone in rules.falling(place, ancestors)] == fallen
