"""One connection: the sentences of graphql-transport-ws, and what a client of a stream is promised."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import strawberry
from starlette.requests import HTTPConnection
from strawberry.exceptions import ConnectionRejectionError

from graph.storage.database import Storage
from graph.storage.rows import Rows
from subscriptions import endpoint, log, session
from subscriptions.brokers.memory import MemoryBroker
from subscriptions.cursor import BEGINNING, Lost, Place, Vector
from subscriptions.endpoint import SocketEndpoint
from subscriptions.fanout import Fanout
from subscriptions.follow import Tail
from subscriptions.log import Entry
from subscriptions.session import Refusing, cut, what_is_wrong
from subscriptions.stream import Frame, Opening, Stream, StreamEnds
from tests.subscriptions.sockets import INIT, PROTOCOL, Message, Socket

TOPIC = "post:1"


@strawberry.type
class Query:
    here: str = "here"


SCHEMA = strawberry.Schema(Query)


@dataclass
class Told:
    """A stream over one topic: a frame says the kind and the position of its event.

    Of kind `silent` nothing is seen, `gone` is the end, `broken` cannot be shown.
    """

    desk: "Desk"
    after: Vector | None = None
    group: str = "all"
    forgiving: bool = True  # goes on where it could not
    topics: Sequence[str] = (TOPIC,)

    async def seen(self) -> Vector:
        return await log.standing(self.desk.storage, [TOPIC, "access"])

    async def open(self) -> Opening:
        seen = await self.seen()
        vector = self.after or Vector(seen.epoch, {TOPIC: seen.places[TOPIC]})
        return Opening([self.payload(f"ready {vector.places[TOPIC].position}")], vector, seen)

    async def frame(self, entry: Entry) -> Frame:
        self.desk.framed.append(entry.position)
        if self.desk.before_a_frame is not None:
            await self.desk.before_a_frame()
        if entry.kind == "broken":
            raise ZeroDivisionError
        payload = None if entry.kind in ("silent", "gone") else self.payload(f"{entry.kind} {entry.position}")
        return Frame(payload, await self.seen(), ends=entry.kind == "gone")

    async def lost(self, reason: Lost) -> Opening:
        if not self.forgiving:
            raise StreamEnds(orjson.dumps([{"message": reason.value}]))
        seen = await self.seen()
        return Opening([self.payload(f"reset {reason.value}")], Vector(seen.epoch, {TOPIC: seen.places[TOPIC]}), seen)

    async def heartbeat(self, vector: Vector) -> bytes | None:
        return self.payload(f"beat {vector.places[TOPIC].position}") if self.forgiving else None

    def payload(self, said: str) -> bytes:
        return orjson.dumps({"data": said if self.group == "all" else f"{self.group}: {said}"})


@dataclass
class Desk:
    """What is behind the sessions: a log, and a door that does what the query says."""

    storage: Storage
    broker: MemoryBroker = field(default_factory=MemoryBroker)
    rechecks: list[Callable[[], None]] = field(default_factory=list)
    renewals: list[str | None] = field(default_factory=list)  # groups, None: no rights any more
    defects: list[BaseException] = field(default_factory=list)
    framed: list[int] = field(default_factory=list)
    passing: asyncio.Event = field(default_factory=asyncio.Event)
    before_a_frame: Callable[[], Awaitable[None]] | None = None

    async def begin(self, context: Any, request: Mapping[str, Any]) -> Stream | bytes:
        match request["query"].split():
            case ["answer"]:
                return orjson.dumps({"data": request["variables"]})
            case ["slow"]:
                await self.passing.wait()
                return b'{"data":"slow"}'
            case ["refuse"]:
                raise Refusing(b'[{"message":"no"}]')
            case ["break"]:
                raise ZeroDivisionError
            case ["follow"]:
                return Told(self)
            case ["after", position]:
                standing = await log.standing(self.storage, [TOPIC])
                return Told(self, Vector(standing.epoch, {TOPIC: await self.place(int(position))}))
            case ["other", "history"]:
                return Told(self, Vector("another", {TOPIC: BEGINNING}))
            case ["unforgiving"]:
                return Told(self, Vector("another", {TOPIC: BEGINNING}), forgiving=False)
        raise AssertionError(request)

    async def renewed(self, context: Any, stream: Stream) -> Stream | None:
        group = self.renewals.pop(0) if self.renewals else "all"
        return None if group is None else Told(self, group=group)

    def enter(self, context: Any, recheck: Callable[[], None]) -> Callable[[], None]:
        self.rechecks.append(recheck)
        return lambda: self.rechecks.remove(recheck)

    def report(self, defect: BaseException) -> bytes:
        self.defects.append(defect)
        return b'[{"message":"Internal error."}]'

    async def place(self, position: int) -> Place:
        if position == 0:
            return BEGINNING
        page = await log.page_after(self.storage, TOPIC, BEGINNING, 1000)
        return page.entries[position - 1].place

    async def tell(self, *kinds: str) -> None:
        """Write these events and ring for them."""

        async def telling(rows: Rows) -> None:
            for kind in kinds:
                await log.append(rows, TOPIC, kind, {}, at=0)

        await self.storage.write([telling])
        self.broker.ring({TOPIC})

    async def on_access(self, entries: Sequence[Entry] | None) -> None:
        for recheck in list(self.rechecks):
            recheck()

    async def shut_out(self, group: str | None = None) -> None:
        """From now on they see what this group sees; None: nothing."""
        self.renewals.append(group)

        async def telling(rows: Rows) -> None:
            await log.append(rows, "access", "access_changed", {}, at=0)

        await self.storage.write([telling])
        self.broker.ring({"access"})


@dataclass
class Member:
    connection_params: Any = None


@dataclass
class Palace:
    desk: Desk
    tail: Tail
    heartbeat_seconds: float = 30.0
    origins: Sequence[str] = ()
    admit: Callable[[Any], Awaitable[None]] | None = None

    async def _admit(self, member: Member) -> None:
        given = (member.connection_params or {}).get("authorization")
        if given not in (None, "Bearer good"):
            raise ConnectionRejectionError
        if self.admit is not None:
            await self.admit(member)

    def socket(self, **given: Any) -> Socket:
        async def context_of(_: HTTPConnection) -> Member:
            return Member()

        services = session.Services(self.tail, Fanout(), self.desk, self.heartbeat_seconds)
        app = SocketEndpoint(SCHEMA, services, context_of=context_of, admit=self._admit, allowed_origins=self.origins)
        return Socket(app, **given)


@pytest.fixture
async def palace(sqlite_url: str) -> AsyncIterator[Palace]:
    async with Storage.at(sqlite_url) as storage:
        desk = Desk(storage)
        async with Tail(storage, desk.broker, desk.on_access, poll_seconds=0.2) as tail:
            yield Palace(desk, tail)


# Greeting -----------------------------------------------------------------------------------------------------------


async def test_a_connection_is_acknowledged_once_it_has_introduced_itself(palace: Palace) -> None:
    async with palace.socket() as socket:
        accepted = await socket.event()
        assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", PROTOCOL)
        await socket.say({"type": "connection_init", "payload": {"authorization": "Bearer good"}})
        assert await socket.hear() == {"type": "connection_ack"}


@pytest.mark.parametrize("offers", [(), ("graphql-ws",), ("soap", "graphql-ws")])
async def test_who_offers_no_protocol_of_ours_is_told_so(palace: Palace, offers: Sequence[str]) -> None:
    async with palace.socket(offers=offers) as socket:
        assert (await socket.event())["type"] == "websocket.accept"
        assert await socket.closed() == (4406, "Subprotocol not acceptable")


async def test_ours_is_taken_whatever_else_is_offered(palace: Palace) -> None:
    async with palace.socket(offers=("graphql-ws", PROTOCOL)) as socket:
        await socket.greeted()


async def test_a_page_of_another_site_is_refused_unless_it_is_allowed(palace: Palace) -> None:
    palace.origins = ("https://friend.test",)
    heard = {}
    for origin in ("https://friend.test", "http://palabre.test", "https://evil.test", "null", None):
        async with palace.socket(origin=origin) as socket:
            heard[origin] = (await socket.event())["type"].removeprefix("websocket.")
    assert heard == {
        "https://friend.test": "accept",
        "http://palabre.test": "accept",
        None: "accept",
        "https://evil.test": "close",
        "null": "close",
    }


async def test_who_says_nothing_is_not_waited_for(palace: Palace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "INIT_SECONDS", 0.02)
    async with palace.socket() as socket:
        assert (await socket.event())["type"] == "websocket.accept"
        assert await socket.closed() == (4408, "Connection initialisation timeout")


async def test_credentials_that_are_no_good_are_refused(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.event()
        await socket.say({"type": "connection_init", "payload": {"authorization": "Bearer bad"}})
        assert await socket.closed() == (4403, "Forbidden")


async def test_who_introduces_themself_twice_is_sent_away(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.say(INIT)
        assert await socket.closed() == (4429, "Too many initialisation requests")


async def test_nothing_may_be_asked_before_the_acknowledgement(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.event()
        await socket.ask("answer")
        assert await socket.closed() == (4401, "Unauthorized")


async def test_a_defect_while_greeting_is_reported_and_masked(palace: Palace) -> None:
    async def broken(_: Any) -> None:
        raise ZeroDivisionError("a defect of ours")

    palace.admit = broken
    async with palace.socket() as socket:
        await socket.event()
        await socket.say(INIT)
        assert await socket.closed() == (1011, "Internal error.")
    assert [type(defect) for defect in palace.desk.defects] == [ZeroDivisionError]


# Messages -----------------------------------------------------------------------------------------------------------

SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": "answer"}}
WRONG: list[tuple[Any, str]] = [
    ("{", "WebSocket message must be valid JSON"),
    ("", "WebSocket message must be valid JSON"),
    ("\ud83d", "WebSocket message must be valid JSON"),
    (b"{}", "WebSocket message type must be text"),
    ("null", "A message is an object with a type"),
    ("[]", "A message is an object with a type"),
    ('"ping"', "A message is an object with a type"),
    ("{}", "A message is an object with a type"),
    ({"type": None}, "A message is an object with a type"),
    ({"type": 1}, "A message is an object with a type"),
    ({"type": "start", "id": "1"}, "Unknown message type: start"),
    ({"type": "é" * 100}, "Unknown message type: " + "é" * 50),
    ({"type": "ping", "payload": "x"}, "ping: payload is an object"),
    ({"type": "pong", "payload": 1}, "pong: payload is an object"),
    ({"type": "connection_init", "payload": []}, "connection_init: payload is an object"),
    ({"type": "complete"}, "complete: id is a text that is not empty"),
    ({"type": "complete", "id": 1}, "complete: id is a text that is not empty"),
    ({"type": "subscribe", "payload": {"query": "answer"}}, "subscribe: id is a text that is not empty"),
    ({**SUBSCRIBE, "id": ""}, "subscribe: id is a text that is not empty"),
    ({**SUBSCRIBE, "id": 1}, "subscribe: id is a text that is not empty"),
    ({"type": "subscribe", "id": "1"}, "subscribe: payload is an object with a query"),
    ({**SUBSCRIBE, "payload": "answer"}, "subscribe: payload is an object with a query"),
    ({**SUBSCRIBE, "payload": {}}, "subscribe: payload is an object with a query"),
    ({**SUBSCRIBE, "payload": {"query": None}}, "subscribe: payload is an object with a query"),
    ({**SUBSCRIBE, "payload": {"query": "answer", "variables": []}}, "subscribe: variables is an object"),
    ({**SUBSCRIBE, "payload": {"query": "answer", "operationName": 1}}, "subscribe: operationName is a text"),
]


@pytest.mark.parametrize(("message", "reason"), WRONG)
async def test_what_is_no_message_closes_the_connection_with_the_reason(
    palace: Palace, message: Any, reason: str
) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.say(message)
        assert await socket.closed() == (4400, reason)


FULL = {"query": "", "variables": None, "operationName": None, "extensions": 1}
RIGHT: list[Message] = [
    INIT,
    {**INIT, "payload": {}},
    {**INIT, "payload": None},
    {"type": "ping"},
    {"type": "pong", "payload": {}},
    SUBSCRIBE,
    {**SUBSCRIBE, "payload": FULL},
    {"type": "complete", "id": "1"},
    {"type": "for the handler to refuse"},
]


@pytest.mark.parametrize("message", RIGHT)
def test_what_is_a_message_is_one(message: Any) -> None:
    assert what_is_wrong(message) is None


def test_a_reason_is_cut_between_characters() -> None:
    assert cut("x" * 200) == "x" * 123
    assert cut("é" * 62) == "é" * 61
    assert cut("short") == "short"


async def test_a_ping_is_answered_with_what_it_carried_also_before_the_greeting(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.event()
        await socket.say({"type": "ping"}, {"type": "ping", "payload": {"a": [1, "é"]}}, {"type": "pong"})
        assert await socket.hear() == {"type": "pong"}
        assert await socket.hear() == {"type": "pong", "payload": {"a": [1, "é"]}}
        await socket.say(INIT)
        assert await socket.hear() == {"type": "connection_ack"}


async def test_a_ping_too_deep_to_be_answered_is_refused(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.say('{"type":"ping","payload":{"a":' + "[" * 900 + "]" * 900 + "}}")
        assert await socket.closed() == (4400, "ping: the payload is too deep")


# Operations ---------------------------------------------------------------------------------------------------------


async def test_a_query_is_answered_and_complete_and_its_id_is_free_again(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        for number in range(3):
            await socket.ask("answer", 'é"1', number=number)
            assert await socket.hear() == {"id": 'é"1', "type": "next", "payload": {"data": {"number": number}}}
            assert await socket.hear() == {"id": 'é"1', "type": "complete"}


async def test_an_operation_that_cannot_begin_is_an_error_of_its_own(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow", "alive")
        assert await socket.said("alive") == "ready 0"
        for _ in range(2):  # and its id is free again
            await socket.ask("refuse", "wrong")
            assert await socket.hear() == {"id": "wrong", "type": "error", "payload": [{"message": "no"}]}
        await palace.desk.tell("added")
        assert await socket.said("alive") == "added 1"


async def test_a_defect_is_an_error_of_its_operation_reported_once(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("break")
        assert await socket.hear() == {"id": "1", "type": "error", "payload": [{"message": "Internal error."}]}
        assert [type(defect) for defect in palace.desk.defects] == [ZeroDivisionError]
        await socket.pinged()


@pytest.mark.parametrize("operation", ["1", "é" * 200])
async def test_an_id_under_way_cannot_be_used_again(palace: Palace, operation: str) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("slow", operation)
        await socket.ask("answer", operation)
        code, reason = await socket.closed()
        assert code == 4409
        assert reason == cut(f"Subscriber for {operation} already exists")


async def test_only_so_many_operations_are_under_way_at_once(palace: Palace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "OPERATIONS_LIMIT", 2)
    async with palace.socket() as socket:
        await socket.greeted()
        for operation in "123":
            await socket.ask("slow", operation)
        assert await socket.hear() == {
            "id": "3",
            "type": "error",
            "payload": [{"message": "Subscription limit reached"}],
        }
        palace.desk.passing.set()
        assert [(await socket.hear())["type"] for _ in range(4)].count("complete") == 2
        await socket.ask("answer", "3")
        assert await socket.said("3") == {}


async def test_what_is_completed_by_the_client_is_heard_of_no_more_and_its_id_is_free(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await socket.say(
            {"type": "complete", "id": "1"}, {"type": "complete", "id": "1"}, {"type": "complete", "id": "?"}
        )
        await palace.desk.tell("added")
        await socket.pinged()
        await socket.ask("follow")
        assert await socket.said() == "ready 1"
        await palace.desk.tell("added")
        assert await socket.said() == "added 2"
    assert palace.desk.rechecks == []


async def test_what_is_completed_before_it_was_answered_is_never_answered(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("slow")
        await socket.say({"type": "complete", "id": "1"})
        await socket.pinged()
        palace.desk.passing.set()
        await socket.ask("answer")
        assert [(await socket.hear())["type"] for _ in range(2)] == ["next", "complete"]
        await socket.pinged()


async def test_an_operation_that_ends_while_the_connection_closes_is_no_defect(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("slow")
        await socket.pinged()
        socket.closing = asyncio.Event()
        await socket.say("{")
        await asyncio.sleep(0)
        palace.desk.passing.set()
        for _ in range(10):
            await asyncio.sleep(0)
        socket.closing.set()
        assert (await socket.closed())[0] == 4400
    assert palace.desk.defects == []


# Streams ------------------------------------------------------------------------------------------------------------


async def test_a_stream_says_where_it_stands_and_then_every_event_in_order(palace: Palace) -> None:
    await palace.desk.tell("added", "added")
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 2"
        await palace.desk.tell("added", "silent", "changed")
        await palace.desk.tell("removed")
        assert [await socket.said() for _ in range(3)] == ["added 3", "changed 5", "removed 6"]


async def test_a_stream_goes_on_exactly_from_where_its_client_stood(palace: Palace) -> None:
    await palace.desk.tell(*["added"] * 5)
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("after 2")
        await palace.desk.tell("added")
        assert [await socket.said() for _ in range(5)] == ["ready 2", "added 3", "added 4", "added 5", "added 6"]


async def test_many_streams_of_one_connection_share_their_frames(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        for operation in "abc":
            await socket.ask("follow", operation)
            assert await socket.said(operation) == "ready 0"
        await palace.desk.tell("added")
        heard = [await socket.hear() for _ in range(3)]
        assert sorted(message["id"] for message in heard) == ["a", "b", "c"]
        assert palace.desk.framed == [1]


async def test_a_stream_is_complete_when_its_subject_is_gone(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await palace.desk.tell("gone", "added")
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.pinged()


async def test_who_stood_in_another_history_is_told_and_goes_on(palace: Palace) -> None:
    await palace.desk.tell("added")
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("other history")
        assert [await socket.said() for _ in range(2)] == ["ready 0", "reset EPOCH"]
        await palace.desk.tell("added")
        assert await socket.said() == "added 2"


async def test_a_stream_that_knows_no_reset_ends_with_the_reason(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("unforgiving")
        assert await socket.said() == "ready 0"
        assert await socket.hear() == {"id": "1", "type": "error", "payload": [{"message": "EPOCH"}]}
        await socket.ask("answer")
        assert await socket.said() == {}


async def test_a_frame_that_cannot_be_made_ends_its_stream_alone(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await palace.desk.tell("broken", "added")
        assert await socket.hear() == {"id": "1", "type": "error", "payload": [{"message": "Internal error."}]}
        assert [type(defect) for defect in palace.desk.defects] == [ZeroDivisionError]
        await socket.ask("after 1")
        assert [await socket.said() for _ in range(2)] == ["ready 1", "added 2"]


async def test_an_idle_stream_tells_its_place_from_time_to_time(palace: Palace) -> None:
    palace.heartbeat_seconds = 0.02
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert [await socket.said() for _ in range(3)] == ["ready 0", "beat 0", "beat 0"]
        await palace.desk.tell("silent", "silent")
        while (said := await socket.said()) == "beat 0":
            pass
        assert said == "beat 2"


async def test_a_stream_that_moves_on_without_a_word_tells_its_place_too(palace: Palace) -> None:
    palace.heartbeat_seconds = 0.2
    talking = True

    async def talk() -> None:
        while talking:
            await palace.desk.tell("silent")

    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        task = asyncio.create_task(talk())
        beat = await socket.said()
        talking = False
        await task
        assert beat.startswith("beat ")
        assert int(beat.removeprefix("beat ")) > 0


# Rights -------------------------------------------------------------------------------------------------------------


async def test_who_is_shut_out_gets_nothing_that_came_after(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await palace.desk.tell("added")
        assert await socket.said() == "added 1"
        await palace.desk.shut_out()
        await palace.desk.tell("added")
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.pinged()
        assert palace.desk.framed == [1]


async def test_who_is_shut_out_while_nothing_happens_is_told_at_once(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await palace.desk.shut_out()
        assert await socket.hear() == {"id": "1", "type": "complete"}


async def test_who_is_shut_out_while_a_frame_is_made_does_not_get_it(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        palace.desk.before_a_frame = palace.desk.shut_out
        await palace.desk.tell("added")
        assert await socket.hear() == {"id": "1", "type": "complete"}


async def test_whose_rights_narrow_is_shown_what_is_left_of_them(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await palace.desk.shut_out("visitors")
        await palace.desk.tell("added")
        assert await socket.said() == "visitors: added 1"


async def test_who_goes_away_leaves_nothing_behind(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        for operation in "ab":
            await socket.ask("follow", operation)
            await socket.said(operation)
        await socket.ask("slow", "c")
        await socket.pinged()
        assert len(palace.desk.rechecks) == 3
    assert palace.desk.rechecks == []
    assert palace.desk.defects == []


async def test_a_server_that_stops_leaves_its_streams_to_be_taken_up_elsewhere(palace: Palace) -> None:
    async with palace.socket() as socket:
        await socket.greeted()
        await socket.ask("follow")
        assert await socket.said() == "ready 0"
        await palace.tail.stop()
        await socket.pinged()  # no error and no complete: the client goes on from its cursor
    assert palace.desk.defects == []
