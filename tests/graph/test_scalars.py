"""Instants: what is taken for one, and how it is shown again."""

import pytest

from graph.scalars import instant_from, instant_text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000000Z"),
        ("2023-11-14T22:13:20.000001+02:00", "2023-11-14T20:13:20.000001Z"),
        ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_an_instant_is_shown_as_it_was_given_to_the_microsecond(given: str, shown: str) -> None:
    assert instant_text(instant_from(given)) == shown


@pytest.mark.parametrize("given", ["", "2023-11-14", "2023-11-14T22:13:20", "9999-12-31T23:59:59-12:00"])
def test_what_could_not_be_shown_again_is_no_instant(given: str) -> None:
    with pytest.raises(ValueError, match=r"instant|isoformat"):
        instant_from(given)
