"""The runs in small, so that a defect of live delivery shows in every test run and the runs themselves keep working.

Real processes, sockets and signals; the figures they print are for the long runs.
"""

import pytest

from benchmarks import kill, subscribers
from benchmarks.subscribers import Round


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Skips where PostgreSQL does not answer."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_database")
    return str(request.param)


def test_every_subscriber_gets_every_comment_once_and_in_order_though_all_are_cut(engine: str) -> None:
    run = subscribers.Run(engine, subscribers=20, comments=10, processes=1)
    assert subscribers.meet(run, rounds=[Round("each connection cut once", cut=True)]) == []


def test_nothing_promised_is_lost_when_the_server_is_killed(engine: str) -> None:
    assert kill.survive(kill.Run(engine, kills=2, writers=4, subscribers=4, life=20)) == []
