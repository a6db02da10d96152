"""Passwords are hashed as RFC 9106 advises, and nobody learns from the work whether an account exists."""

from typing import Literal

import pytest
from argon2 import PasswordHasher

from graph.users import passwords
from graph.users.passwords import Verdict, hashed, verify

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
