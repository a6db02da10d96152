"""The check of the main job: it passes here, and it notices what a server could do wrong."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import structlog

from graph import client
from graph.check import MainJob, StepFailed
from graph.client import Client, Stream, Unexpected
from graph.commands.demo import private_job

Frame = dict[str, Any]
Fault = Callable[[Frame, list[Frame]], list[Frame]]  # what is sent instead of a frame; before it came these


@pytest.fixture
async def job(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MainJob]:
    async with private_job() as job:
        yield job
    structlog.reset_defaults()


def lose(frame: Frame, before: list[Frame]) -> list[Frame]:
    return []


def repeat_the_one_before(frame: Frame, before: list[Frame]) -> list[Frame]:
    return [*before[-1:], frame]


def misplace(frame: Frame, before: list[Frame]) -> list[Frame]:
    return [frame | {"position": frame["position"] | {"ancestorIds": frame["position"]["ancestorIds"][:-1]}}]


def forget_the_sibling(frame: Frame, before: list[Frame]) -> list[Frame]:
    return [frame | {"position": frame["position"] | {"previousSiblingId": None}}]


def miscount(frame: Frame, before: list[Frame]) -> list[Frame]:
    return [frame | {"post": {"counts": {"comments": frame["post"]["counts"]["comments"] - 1}}}]


def stand_still(frame: Frame, before: list[Frame]) -> list[Frame]:
    return [frame | {"cursor": before[-1]["cursor"]}] if before else [frame]


@dataclass(frozen=True)
class FaultyClient:
    """Between a reader and the server: gives every comment that arrives to a fault."""

    real: Client
    fault: Fault
    from_frame: int  # 1: from the first comment on
    before: list[Frame] = field(default_factory=list)

    async def ask(self, operation: str, **variables: Any) -> Frame:
        return await self.real.ask(operation, **variables)

    @asynccontextmanager
    async def follow(self, operation: str, **variables: Any) -> AsyncIterator["FaultyStream"]:
        async with self.real.follow(operation, **variables) as stream:
            yield FaultyStream(self, stream)


@dataclass
class FaultyStream:
    client: FaultyClient
    real: Stream
    due: list[Frame] = field(default_factory=list)

    async def next(self) -> Frame:
        while not self.due:
            frame = (await self.real.next())["thread"]
            if frame["__typename"] != "CommentAdded":
                return {"thread": frame}
            before = self.client.before
            self.due = self.client.fault(frame, before) if len(before) + 1 >= self.client.from_frame else [frame]
            before.append(frame)
        return {"thread": self.due.pop(0)}

    def cut(self) -> None:
        self.real.cut()


async def test_a_server_that_keeps_its_promise_passes(job: MainJob) -> None:
    assert [seen async for _, seen in job.run()][-1].endswith("nothing twice, nothing missing")
    assert [reply.frame["comment"]["bodyText"] for reply in job.replies] == list(job.bodies)


@pytest.mark.parametrize(
    ("fault", "from_frame", "step"),
    [
        (lose, 1, "Answer, and see it arrive"),
        (misplace, 1, "Answer, and see it arrive"),
        (miscount, 1, "Answer, and see it arrive"),
        (lose, 2, "Go on from the last cursor"),
        (repeat_the_one_before, 2, "Go on from the last cursor"),
        (forget_the_sibling, 2, "Go on from the last cursor"),
        (stand_still, 2, "Read it all again"),
    ],
)
async def test_a_fault_is_noticed_in_its_step(
    job: MainJob, monkeypatch: pytest.MonkeyPatch, fault: Fault, from_frame: int, step: str
) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 2)
    faulty: Any = FaultyClient(job.reader, fault, from_frame)
    with pytest.raises(StepFailed) as failed:
        [_ async for _ in replace(job, reader=faulty).run()]
    assert failed.value.step == step


async def test_a_failure_says_what_was_due_and_what_was_seen(job: MainJob) -> None:
    faulty: Any = FaultyClient(job.reader, miscount, 1)
    with pytest.raises(StepFailed) as failed:
        [_ async for _ in replace(job, reader=faulty).run()]
    assert str(failed.value) == (
        "Answer, and see it arrive: the counts {'comments': 45} was due; seen: {'comments': 44}"
    )


async def test_an_answer_with_errors_is_shown(job: MainJob) -> None:
    with pytest.raises(Unexpected, match=r"an answer without errors was due; seen: .*Cannot query field 'nothing'"):
        await job.reader.ask("{ nothing }")


async def test_a_post_that_is_not_there_is_told(job: MainJob) -> None:
    with pytest.raises(StepFailed, match=r"^Read the discussion: the post UG9zdDo5OQ was due; seen: None$"):
        [_ async for _ in replace(job, post_id="UG9zdDo5OQ").run()]
