"""Who guesses passwords is slowed down, by what they call the account and by where they are."""

from typing import Any

import pytest

from graph.refusals import TooOften
from graph.users import attempts
from graph.users.attempts import Attempts, Throttle, network_of

SECOND = 1_000_000  # µs
NOW = 1_700_000_000 * SECOND


def fail(tries: Attempts, times: int, account: str = "ada", client: str | None = None, now: int = NOW) -> None:
    for _ in range(times):
        tries.begin(account, client, now)


def test_after_ten_failures_one_waits_a_minute_for_each_more() -> None:
    tries = Attempts()
    fail(tries, 10)
    with pytest.raises(TooOften) as refused:
        tries.begin("ada", None, NOW + 1)
    assert refused.value.retry_after_seconds == 60
    tries.begin("ada", None, NOW + 60 * SECOND)
    with pytest.raises(TooOften):
        tries.begin("ada", None, NOW + 60 * SECOND)


def test_a_refused_attempt_makes_nobody_wait_longer() -> None:
    tries = Attempts()
    fail(tries, 10)
    for _ in range(5):
        with pytest.raises(TooOften):
            tries.begin("ada", None, NOW)
    tries.begin("ada", None, NOW + 60 * SECOND)


def test_what_succeeds_does_not_count_and_forgives_nothing() -> None:
    tries = Attempts()
    for _ in range(30):
        tries.begin("ada", "192.0.2.1", NOW).succeeded()
    fail(tries, 9)
    tries.begin("ada", None, NOW).succeeded()
    fail(tries, 1)
    with pytest.raises(TooOften):
        tries.begin("ada", None, NOW)


def test_one_account_does_not_slow_down_another() -> None:
    tries = Attempts()
    fail(tries, 10)
    tries.begin("greg", None, NOW)


def test_one_client_is_slowed_down_whatever_accounts_it_tries() -> None:
    tries = Attempts()
    for number in range(50):
        tries.begin(f"person {number}", "192.0.2.1", NOW)
    with pytest.raises(TooOften) as refused:
        tries.begin("another", "192.0.2.1", NOW)
    assert refused.value.retry_after_seconds == 10
    tries.begin("another", "192.0.2.2", NOW)


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:2", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("testclient", "testclient"),
    ],
)
def test_a_client_is_known_by_what_one_subscriber_has(client: str, network: str) -> None:
    assert network_of(client) == network


def test_no_more_is_remembered_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "KEYS_LIMIT", 3)
    throttle = Throttle(burst=1, interval=60 * SECOND)
    for key in "abcad":
        throttle.fill(key, NOW)
    kept: Any = throttle._empty_at
    assert list(kept) == ["c", "a", "d"]


def test_what_is_typed_is_remembered_in_few_characters() -> None:
    tries = Attempts()
    tries.begin("x" * 1_000_000 + "\ud800", None, NOW)
    kept: Any = tries.accounts._empty_at
    assert [len(key) for key in kept] == [64]
