"""Passwords are hashed as RFC 9106 advises, and nobody learns from the work whether an account exists."""

import asyncio
import threading
from typing import Literal

import pytest
from argon2 import PasswordHasher

from graph.refusals import TooOften
from graph.users import passwords
from graph.users.passwords import Bench, Verdict, hashed, verify

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", QUICK)
    passwords._nobodys.cache_clear()


async def test_a_password_matches_its_hash_and_no_other() -> None:
    kept = await hashed("correct horse")
    assert kept.startswith("$argon2id$")
    assert await verify("correct horse", kept) == Verdict(matches=True)
    assert await verify("correct  horse", kept) == Verdict(matches=False)


async def test_two_ways_to_type_an_accent_are_one_password() -> None:
    assert (await verify("me\u0301lange", await hashed("m\u00e9lange"))).matches


async def test_any_text_can_be_compared() -> None:
    assert not (await verify("half a pair \ud800", await hashed("whole"))).matches


async def test_nobodys_password_takes_as_much_work_and_matches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    class Counting(PasswordHasher):
        def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
            compared.append(str(hash))
            return super().verify(hash, password)

    monkeypatch.setattr(passwords, "HASHER", Counting(time_cost=1, memory_cost=8, parallelism=1))
    assert await verify("anything", None) == Verdict(matches=False)
    assert len(compared) == 1
    assert "m=8,t=1,p=1" in compared[0]


async def test_a_hash_weaker_than_todays_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = await hashed("correct horse")
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    assert await verify("correct horse", kept) == Verdict(matches=True, outdated=True)
    assert await verify("wrong", kept) == Verdict(matches=False)


def test_the_parameters_are_those_of_rfc_9106_for_small_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert (passwords.HASHER.memory_cost, passwords.HASHER.time_cost) == (65_536, 3)  # KiB, passes


async def test_who_finds_the_queue_full_is_told_so_at_once_and_the_others_are_served() -> None:
    bench, open_now = Bench(threads=1, waiting=2), threading.Event()
    served = [asyncio.ensure_future(bench.do(open_now.wait, 10)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(TooOften) as refused:
        await bench.do(open_now.wait, 10)
    assert refused.value.retry_after_seconds == passwords.RETRY_SECONDS
    open_now.set()
    assert await asyncio.gather(*served) == [True] * 3
    assert await bench.do(open_now.wait, 10)


async def test_who_leaves_the_queue_makes_room_and_who_is_served_keeps_theirs() -> None:
    bench, begun, open_now = Bench(threads=1, waiting=1), threading.Event(), threading.Event()

    def work() -> bool:
        begun.set()
        return open_now.wait(10)

    served = asyncio.ensure_future(bench.do(work))
    await asyncio.to_thread(begun.wait, 10)
    waiting = asyncio.ensure_future(bench.do(work))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    served.cancel()  # its thread goes on
    await asyncio.wait([served])
    last = asyncio.ensure_future(bench.do(work))
    await asyncio.sleep(0)
    with pytest.raises(TooOften):
        await bench.do(work)
    open_now.set()
    assert await last


async def test_a_refused_hash_shows_as_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "BENCH", Bench(threads=1, waiting=-1))
    with pytest.raises(TooOften):
        await hashed("correct horse")
    with pytest.raises(TooOften):
        await verify("correct horse", None)
