"""How long a letter waits between its tries."""

from graph.mail import rules

MINUTE = 60 * rules.SECOND


def test_the_wait_doubles_up_to_four_hours_and_ends_with_the_tenth_try() -> None:
    waits = [rules.delay_after(tries) for tries in range(1, 12)]
    assert waits == [each * MINUTE for each in (1, 2, 4, 8, 16, 32, 64, 128, 240)] + [None, None]


def test_what_is_being_sent_is_given_up_before_its_lease_ends() -> None:
    from graph.mail.transport import SEND_SECONDS

    assert SEND_SECONDS * rules.SECOND < rules.LEASE
