"""What requests may say, and how long a link is good."""

import pytest

from graph.admission import rules
from graph.refusals import Conflict, Invalid, NotFound

NOW = 100


def test_a_message_of_nothing_but_space_is_none_and_a_long_one_is_refused() -> None:
    assert rules.clean_message(None) is None
    assert rules.clean_message(" \n") is None
    assert rules.clean_message(" Let me in. ") == "Let me in."
    with pytest.raises(Invalid) as refused:
        rules.clean_message("x" * 501)
    assert (refused.value.path, refused.value.limit, refused.value.actual) == (("input", "message"), 500, 501)


@pytest.mark.parametrize("uses", [0, -1, 10_001])
def test_a_link_for_nobody_or_for_too_many_is_refused(uses: int) -> None:
    assert [rules.check_uses(each) for each in (None, 1, 10_000)] == [None, 1, 10_000]
    with pytest.raises(Invalid):
        rules.check_uses(uses)


def test_a_link_ends_in_the_future_or_never() -> None:
    assert [rules.check_expiry(each, NOW) for each in (None, NOW + 1)] == [None, NOW + 1]
    for passed in (NOW, 0):
        with pytest.raises(Invalid):
            rules.check_expiry(passed, NOW)


GOOD = {
    rules.Link("PENDING", 0, None, None): True,
    rules.Link("PENDING", 9_999, None, None): True,
    rules.Link("PENDING", 1, 2, None): True,
    rules.Link("PENDING", 2, 2, None): False,
    rules.Link("PENDING", 0, None, NOW + 1): True,
    rules.Link("PENDING", 0, None, NOW): False,
    rules.Link("WITHDRAWN", 0, None, None): False,
}


@pytest.mark.parametrize("link", GOOD)
def test_a_link_is_good_until_it_is_withdrawn_used_up_or_expired(link: rules.Link) -> None:
    assert link.is_good(NOW) is GOOD[link]
    if not GOOD[link]:
        with pytest.raises(NotFound):
            rules.check_good(link, NOW)


@pytest.mark.parametrize("answer", ["ACCEPTED", "DECLINED", "WITHDRAWN"])
def test_what_was_answered_is_answered_once(answer: str) -> None:
    rules.check_pending("PENDING", "id")
    with pytest.raises(Conflict):
        rules.check_pending(answer, "id")
