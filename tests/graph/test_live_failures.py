"""A frame that could not be made whole is not sent: with its cursor a client would go past what it never saw."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa

from graph.comments import discussion
from graph.context import Viewer
from graph.execution.fields import Asking
from graph.ids import global_id
from graph.storage.errors import NotConnected
from graph.storage.rows import Row, Rows

FOLLOW = """
subscription ($post: ID!) {
  thread(postId: $post) {
    __typename
    cursor
    ... on CommentAdded { comment { bodyText } post { counts { comments } } ancestors { id } position { depth } }
  }
}
"""


@dataclass
class Losing:
    """Views of a database whose connection is lost once, with a certain statement of theirs."""

    reading: Any
    before_loss: int

    def __call__(self) -> AbstractAsyncContextManager[Rows]:
        return self._view()

    @asynccontextmanager
    async def _view(self) -> AsyncIterator[Rows]:
        async with self.reading() as rows:
            yield LosingRows(rows, self)


@dataclass
class LosingRows:
    inner: Rows
    losing: Losing

    @property
    def engine(self) -> str:
        return self.inner.engine

    async def rows(self, statement: sa.Executable) -> Any:
        self.losing.before_loss -= 1
        if self.losing.before_loss == -1:
            raise NotConnected("the connection was lost, and the transaction with it")
        return await self.inner.rows(statement)


async def test_a_frame_during_which_the_connection_is_lost_is_made_again_wherever_that_happens(
    community: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    greg = await community.viewer(await community.person("greg"))
    post = await community.publish(greg)
    watch = await community.follow(FOLLOW, greg, post=global_id("Post", post))
    await community.settled([watch])
    reading, count, lost = community.storage.reading, 0, True
    while lost:
        losing = Losing(reading, before_loss=count)
        monkeypatch.setattr(community.storage, "reading", losing)
        await community.answer_post(greg, post, f"+{count}")
        count += 1
        frame = await watch.frame(count)
        lost = losing.before_loss < 0
        assert frame["comment"] == {"bodyText": f"+{count - 1}"}
        assert frame["post"] == {"counts": {"comments": count}}
        assert (frame["ancestors"], frame["position"]) == ([], {"depth": 0})
    assert count > 5
    await watch.leave()


async def test_a_frame_that_would_have_no_data_ends_the_stream_and_does_not_take_the_client_past_its_event(
    community: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load_ancestors(asking: Asking, *_: Any) -> list[list[Row]]:
        raise ZeroDivisionError

    monkeypatch.setattr(discussion, "load_ancestors", load_ancestors)
    greg = await community.viewer(await community.person("greg"))
    post = await community.publish(greg)
    watch = await community.follow(FOLLOW, Viewer(), post=global_id("Post", post))
    await community.settled([watch])
    await community.answer_post(greg, post)
    await watch.end()
    assert [frame["__typename"] for frame in watch.frames] == ["StreamReady"]
    with pytest.raises(ZeroDivisionError):
        watch._task.result()
