"""The law of live delivery: whoever applies what is delivered arrives at what a fresh fetch shows."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.admission import actions as admission_actions
from graph.change import Key
from graph.comments import actions as comment_actions
from graph.comments import rules as comment_rules
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.events import post_topic
from graph.ids import global_id, key_of
from graph.live import LiveStream, Member
from graph.posts import actions as post_actions
from graph.posts import rules as post_rules
from graph.refusals import Refusal
from graph.users import actions as user_actions
from subscriptions import log
from subscriptions.cursor import encode
from subscriptions.session import Refusing

NOBODY = Viewer()

FETCH = """
query Fetch($post: ID!, $sort: CommentSort!) {
  post(id: $post) {
    title
    counts { comments roots }
    thread(sort: $sort, first: 1000, shape: {maxDepth: 100, repliesPerParent: 100}) {
      liveCursor
      edges { depth parentId node { ...Row } }
    }
  }
}
fragment Row on Comment { id bodyText status replyCount descendantCount lastEditedAt }
"""

FOLLOW = """
subscription Follow($post: ID!, $after: LiveCursor, $sort: CommentSort!) {
  thread(postId: $post, after: $after) {
    __typename
    cursor
    ... on CommentAdded {
      comment { parentId depth ...Row }
      ancestors { ...Row }
      post { title counts { comments roots } }
      position(sort: $sort) { ancestorIds depth previousSiblingId }
    }
    ... on CommentChanged { comment { ...Row } post { counts { comments roots } } }
    ... on CommentRemoved { removedId ancestors { ...Row } post { title counts { comments roots } } }
    ... on PostChanged { post { title } }
  }
}
fragment Row on Comment { id bodyText status replyCount descendantCount lastEditedAt }
"""


@dataclass
class Edge:
    depth: int
    parent: str | None
    row: dict[str, Any]


class Screen:
    """What a client shows: knows only a first fetch and frames, and the rule that ThreadPosition documents."""

    def __init__(self, fetched: dict[str, Any]) -> None:
        thread = fetched["thread"]
        self.post = {"title": fetched["title"], "counts": fetched["counts"]}
        self.edges = [Edge(edge["depth"], edge["parentId"], edge["node"]) for edge in thread["edges"]]
        self.cursor: str = thread["liveCursor"]

    def apply(self, frame: dict[str, Any]) -> None:
        self.cursor = frame["cursor"]
        match frame["__typename"]:
            case "CommentAdded":
                self._add(frame)
                self._refresh(frame["ancestors"])
            case "CommentChanged":
                self._refresh([frame["comment"]])
            case "CommentRemoved":
                self._remove(frame["removedId"])
                self._refresh(frame["ancestors"])
        self.post |= frame.get("post") or {}

    def shown(self) -> Any:
        rows = [(edge.depth, edge.parent, edge.row) for edge in self.edges]
        return self.post, rows

    def _place(self, comment_id: str | None) -> int | None:
        return next((place for place, edge in enumerate(self.edges) if edge.row["id"] == comment_id), None)

    def _end_of_branch(self, place: int) -> int:
        end = place + 1
        while end < len(self.edges) and self.edges[end].depth > self.edges[place].depth:
            end += 1
        return end

    def _add(self, frame: dict[str, Any]) -> None:
        comment, position = frame["comment"], frame["position"]
        row = {name: value for name, value in comment.items() if name not in ("parentId", "depth")}
        if self._place(comment["id"]) is not None:
            self._refresh([row])
            return
        sibling = position["previousSiblingId"]
        if sibling is not None:
            beside = self._place(sibling)
            assert beside is not None, f"{sibling} stands before a new row and was never shown"
            at = self._end_of_branch(beside)
        elif position["ancestorIds"]:
            parent = self._place(position["ancestorIds"][-1])
            assert parent is not None, "a reply came before what it answers"
            at = parent + 1
        else:
            at = 0
        self.edges.insert(at, Edge(position["depth"], comment["parentId"], row))

    def _refresh(self, rows: list[dict[str, Any]]) -> None:
        for row in rows:
            place = self._place(row["id"])
            if place is not None:
                self.edges[place].row = {name: row[name] for name in self.edges[place].row}

    def _remove(self, comment_id: str) -> None:
        place = self._place(comment_id)
        if place is not None:
            del self.edges[place : self._end_of_branch(place)]


# Every action, and how a person does it -----------------------------------------------------------------------------

ABOUT_PEOPLE: tuple[ModuleType, ...] = (user_actions, community_actions, admission_actions)
SUBJECTS = (post_actions, comment_actions, *ABOUT_PEOPLE)


@dataclass
class World:
    """A discussion under way."""

    community: Any
    people: list[Viewer]
    post: int
    comments: list[int] = field(default_factory=list)
    said: int = 0

    def comment(self, choice: int) -> int | None:
        return self.comments[choice % len(self.comments)] if self.comments else None

    def words(self) -> str:
        self.said += 1
        return f"Greg > {self.said} fois « d’accord » 🙂"

    async def act(self, who: Viewer, action: Callable[..., Awaitable[Any]], **given: Any) -> Any:
        try:
            return await self.community.act(lambda change: action(change, **given), who)
        except Refusal:
            return None


async def adds_comment(world: World, who: Viewer, choice: int) -> None:
    parent = world.comment(choice) if choice % 4 else None
    written = comment_rules.written(world.words())
    added = await world.act(who, comment_actions.add_comment, post_id=world.post, parent_id=parent, written=written)
    world.comments += [added] if added is not None else []


async def edits_comment(world: World, who: Viewer, choice: int) -> None:
    written = comment_rules.written(world.words())
    await world.act(who, comment_actions.edit_comment, comment_id=world.comment(choice) or 0, written=written)


async def deletes_comment(world: World, who: Viewer, choice: int) -> None:
    await world.act(who, comment_actions.delete_comment, comment_id=world.comment(choice) or 0)


async def edits_post(world: World, who: Viewer, choice: int) -> None:
    await world.act(who, post_actions.edit_post, post_id=world.post, title=world.words())


async def publishes_another_post(world: World, who: Viewer, choice: int) -> None:
    await world.act(who, post_actions.create_post, title="Autre", written=post_rules.written("Autre chose."))


async def publishes_post(world: World, who: Viewer, choice: int) -> None:
    await world.act(who, post_actions.publish_post, post_id=world.post)


async def unpublishes_post(world: World, who: Viewer, choice: int) -> None:
    await world.act(who, post_actions.unpublish_post, post_id=world.post)


async def deletes_post(world: World, who: Viewer, choice: int) -> None:
    await world.act(who, post_actions.delete_post, post_id=world.post)


Doing = Callable[[World, Viewer, int], Awaitable[None]]
DISCUSSING: dict[str, Doing] = {
    "add_comment": adds_comment,
    "edit_comment": edits_comment,
    "delete_comment": deletes_comment,
    "edit_post": edits_post,
    "create_post": publishes_another_post,
    "publish_post": publishes_post,
    "unpublish_post": unpublishes_post,
    "delete_post": deletes_post,
}
# Acts on people and communities show in no discussion; what they do to rights is told in the access topic.
ELSEWHERE = {
    name
    for module in ABOUT_PEOPLE
    for name, found in inspect.getmembers(module, inspect.iscoroutinefunction)
    if found.__module__ == module.__name__
}


def test_every_action_has_a_place_under_the_law() -> None:
    actions = {
        name
        for module in SUBJECTS
        for name, found in inspect.getmembers(module, inspect.iscoroutinefunction)
        if found.__module__ == module.__name__ and not name.startswith("_")
        if next(iter(inspect.signature(found).parameters), None) == "change" and name != "post_for"
    }
    assert actions - ELSEWHERE == set(DISCUSSING)


async def people(community: Any) -> list[Viewer]:
    greg, michel = [await community.person(handle) for handle in ("greg", "michel")]
    anna = await community.person("anna", role="MODERATOR")
    return [await community.viewer(user) for user in (greg, michel, anna)]


async def head(community: Any, post: int) -> str:
    topics = [post_topic(post)]
    return encode(await log.standing(community.storage, topics), topics, "post")


async def delivered(community: Any, cursor: str, who: Viewer, post: int, sort: str) -> list[dict[str, Any]]:
    """All frames from this cursor on; the last event must be one that everybody sees."""
    target = await head(community, post)
    watch = await community.follow(FOLLOW, who, post=global_id("Post", post), sort=sort, after=cursor)
    await watch.until(lambda: watch.cursor == target)
    await watch.leave()
    frames: list[dict[str, Any]] = watch.frames
    return frames


# What ends the stream has a test of its own; answers are what most of a discussion is made of.
CHANGING = ["edit_comment", "delete_comment", "delete_comment", "edit_post", "create_post", *["add_comment"] * 5]
HISTORIES = st.lists(
    st.tuples(st.sampled_from(CHANGING), st.integers(0, 2), st.integers(0, 1000)), min_size=4, max_size=16
)


@pytest.mark.parametrize("sort", ["OLDEST", "NEWEST"])
@settings(max_examples=8)
@given(history=HISTORIES)
async def test_what_is_delivered_leads_to_what_a_fresh_fetch_shows_from_every_cursor(
    community: Any, sort: str, history: list[tuple[str, int, int]]
) -> None:
    everybody = community.__dict__.setdefault("everybody", []) or await people(community)
    community.everybody = everybody
    post = await community.publish(everybody[0])
    world = World(community, everybody, post)
    named = {"post": global_id("Post", post), "sort": sort}
    audiences = [Viewer(), everybody[1], everybody[2]]

    async def fetched(who: Viewer) -> dict[str, Any]:
        found: dict[str, Any] = (await community.data(FETCH, who, **named))["post"]
        return found

    screens = [(Screen(await fetched(who)), who) for who in audiences]
    living = await community.follow(FOLLOW, Viewer(), **named, after=screens[0][0].cursor)
    live_screen = Screen(await fetched(Viewer()))
    for number, (name, actor, choice) in enumerate(history):
        community.now += 1_000_000
        await DISCUSSING[name](world, everybody[actor], choice)
        screens.append((Screen(await fetched(audiences[number % 3])), audiences[number % 3]))
    await community.act(lambda change: post_actions.edit_post(change, post_id=post, title="Fin"), everybody[0])

    fresh = Screen(await fetched(Viewer())).shown()
    for screen, who in screens:
        for frame in await delivered(community, screen.cursor, who, post, sort):
            screen.apply(frame)
        assert screen.shown() == fresh
    target = await head(community, post)
    await living.until(lambda: living.cursor == target)
    await living.leave()
    for frame in living.frames:
        live_screen.apply(frame)
    assert live_screen.shown() == fresh


@pytest.mark.parametrize("name", ["unpublish_post", "delete_post"])
async def test_a_stream_ends_when_its_post_goes(community: Any, name: str) -> None:
    greg, michel, _ = await people(community)
    post = await community.publish(greg)
    watch = await community.follow(FOLLOW, michel, post=global_id("Post", post), sort="OLDEST")
    await watch.frame(0)

    await DISCUSSING[name](World(community, [greg], post), greg, 0)

    await watch.end()
    assert [frame["__typename"] for frame in watch.frames] == ["StreamReady"]
    assert watch.errors is None


Frames = list[dict[str, Any]]


def without_one(frames: Frames) -> Frames:
    return [frame for place, frame in enumerate(frames) if place != 2]


def with_two_swapped(frames: Frames) -> Frames:
    return [*frames[:1], frames[2], frames[1], *frames[3:]]


def with_a_place_of_later(frames: Frames) -> Frames:
    """As if siblings were looked up among those of now instead of those of then."""
    late = {**frames[1], "position": {**frames[1]["position"], "previousSiblingId": frames[2]["comment"]["id"]}}
    return [frames[0], late, *frames[2:]]


def with_text_of_before(frames: Frames) -> Frames:
    edited = frames[-2]
    return [*frames[:-2], {**edited, "comment": {**edited["comment"], "bodyText": "avant"}}, frames[-1]]


@pytest.mark.parametrize("plant", [without_one, with_two_swapped, with_a_place_of_later, with_text_of_before])
async def test_the_law_notices_a_planted_fault(community: Any, plant: Callable[[Frames], Frames]) -> None:
    greg, *_ = await people(community)
    post = await community.publish(greg)
    named = {"post": global_id("Post", post), "sort": "NEWEST"}
    screen = Screen((await community.data(FETCH, **named))["post"])
    root = await community.answer_post(greg, post)
    for _ in range(2):
        await community.answer_post(greg, post, parent=root)
    edited = comment_rules.written("après")
    await community.act(lambda change: comment_actions.edit_comment(change, comment_id=root, written=edited), greg)
    await community.act(lambda change: post_actions.edit_post(change, post_id=post, title="Fin"), greg)
    frames = [
        frame for frame in await delivered(community, screen.cursor, NOBODY, post, "NEWEST") if "comment" in frame
    ]
    last = {"__typename": "PostChanged", "cursor": "", "post": (await community.data(FETCH, **named))["post"]}

    with pytest.raises(AssertionError):  # noqa: PT012  the screen itself may notice, or the comparison
        for frame in plant([*frames, last]):
            screen.apply(frame)
        assert screen.shown()[1] == Screen((await community.data(FETCH, **named))["post"]).shown()[1]


async def test_frames_applied_twice_do_no_harm(community: Any) -> None:
    greg, *_ = await people(community)
    post = await community.publish(greg)
    named = {"post": global_id("Post", post), "sort": "OLDEST"}
    screen = Screen((await community.data(FETCH, **named))["post"])
    root = await community.answer_post(greg, post)
    gone = await community.answer_post(greg, post, parent=root)
    await community.act(lambda change: comment_actions.delete_comment(change, comment_id=gone), greg)
    await community.act(lambda change: post_actions.edit_post(change, post_id=post, title="Fin"), greg)

    for frame in await delivered(community, screen.cursor, NOBODY, post, "OLDEST"):
        screen.apply(frame)
        screen.apply(frame)

    assert screen.shown() == Screen((await community.data(FETCH, **named))["post"]).shown()


async def test_a_frame_is_made_once_for_all_who_see_the_same(community: Any) -> None:
    greg, michel, _ = await people(community)
    post = await community.publish(greg)
    named = {"post": global_id("Post", post), "sort": "OLDEST"}
    watches = [await community.follow(FOLLOW, who, **named) for who in (Viewer(), michel, greg, Viewer()) * 5]
    for watch in watches:
        await watch.frame(0)

    await community.answer_post(greg, post)

    frames = [await watch.frame(1) for watch in watches]
    assert all(frame == frames[0] for frame in frames)
    assert community.live.fanout.meter.frames_made == 1


MINE = """
subscription Mine($post: ID!) { commentAdded(postId: $post) { cursor clientMutationId comment { viewerCan { edit } } } }
"""


async def test_what_is_the_viewers_own_is_never_shared(community: Any) -> None:
    greg, michel, _ = await people(community)
    post = await community.publish(greg)
    named = {"post": global_id("Post", post)}
    watches = [await community.follow(MINE, who, **named) for who in (greg, michel, Viewer())]
    await community.settled(watches)
    written = comment_rules.written("+1")

    await community.act(
        lambda change: comment_actions.add_comment(change, post_id=post, parent_id=None, written=written),
        greg,
        key=Key("addComment", "a-key", b""),
    )

    seen = [await watch.frame(0) for watch in watches]
    assert [frame["clientMutationId"] for frame in seen] == ["a-key", None, None]
    assert [frame["comment"]["viewerCan"]["edit"] for frame in seen] == [True, False, False]


async def test_nothing_written_after_somebody_was_shut_out_reaches_them_in_an_older_event(
    community: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An event shows its row as it is by then: here the row changes, and the reader is shut out, before it is read."""
    admin = await community.viewer(await community.person("ada", role="ADMIN"))
    reader_id = await community.person("greg")
    place = await community.act(
        lambda change: community_actions.create_community(change, name="Entre nous", visibility="PRIVATE"), admin
    )
    await community.act(
        lambda change: community_actions.set_member(change, community_id=place, user_id=reader_id), admin
    )
    admin, reader = await community.viewer(admin.audience.viewer_id), await community.viewer(reader_id)
    post = await community.publish(admin, community_id=place)
    watch = await community.follow(FOLLOW, reader, post=global_id("Post", post), sort="OLDEST")
    await watch.frame(0)
    making = LiveStream._frame

    async def late(self: LiveStream, entry: Any, asking: Any) -> Any:
        monkeypatch.setattr(LiveStream, "_frame", making)
        monkeypatch.setattr(community.broker, "ring", lambda topics: None)
        await community.act(
            lambda change: community_actions.remove_member(change, community_id=place, user_id=reader_id), admin
        )
        secret = comment_rules.written("pour nous seuls")
        await community.act(
            lambda change: comment_actions.edit_comment(change, comment_id=entry.data["comment_id"], written=secret),
            admin,
        )
        return await making(self, entry, asking)

    monkeypatch.setattr(LiveStream, "_frame", late)
    await community.answer_post(admin, post, "pour tous les membres")

    await watch.end()
    assert [frame["__typename"] for frame in watch.frames] == ["StreamReady"]


# Whoever stands otherwise is told -------------------------------------------------------------------------------------


@dataclass
class Place:
    """A public community, where one asks to be let in, and a private one; ada administers both."""

    community: Any
    ids: dict[str, int]
    public: int = 0
    private: int = 0

    async def act(self, actor: str, action: Callable[..., Awaitable[Any]], /, **given: Any) -> Any:
        return await self.community.act(lambda change: action(change, **given), await self.viewer(actor))

    async def viewer(self, name: str) -> Viewer:
        viewer: Viewer = await self.community.viewer(self.ids[name])
        return viewer

    async def audiences(self) -> dict[int, Any]:
        return {key: (await self.community.viewer(key)).audience for key in self.ids.values()}

    async def told(self) -> list[int | None]:
        """Whose rights were told to have changed; None: anybody's."""
        told = [orjson.loads(data) for kind, data in await self.community.events() if kind == "access_changed"]
        return [each["user_id"] for each in told]


@pytest.fixture
async def place(community: Any) -> Place:
    """mia is a member of both communities, zoe is in neither: she is invited to the private one, asks for the other."""
    place = Place(community, {name: await community.person(name) for name in ("mia", "zoe", "max")})
    place.ids["ada"] = await community.person("ada", role="ADMIN")
    founding = community_actions.create_community
    place.public = await place.act("ada", founding, name="Ouvert", joining="REQUEST")
    place.private = await place.act("ada", founding, name="Entre nous", visibility="PRIVATE")
    for key in (place.public, place.private):
        await place.act("ada", community_actions.set_member, community_id=key, user_id=place.ids["mia"])
    await place.act("ada", admission_actions.invite, community_id=place.private, user_id=place.ids["zoe"])
    await place.act("zoe", admission_actions.request_to_join, community_id=place.public)
    await place.act("ada", community_actions.ban_from_community, community_id=place.public, user_id=place.ids["max"])
    return place


ACTS: dict[str, tuple[str, Callable[[Place], dict[str, Any]]]] = {  # by whom, with what
    "create_community": ("ada", lambda place: {"name": "Autre"}),
    "edit_community": ("ada", lambda place: {"community_id": place.public, "visibility": "PRIVATE"}),
    "archive_community": ("ada", lambda place: {"community_id": place.public}),
    "unarchive_community": ("ada", lambda place: {"community_id": place.public}),
    "join_community": ("zoe", lambda place: {"community_id": place.private}),
    "leave_community": ("mia", lambda place: {"community_id": place.private}),
    "set_member": ("ada", lambda place: of(place, "mia", role="MODERATOR")),
    "remove_member": ("ada", lambda place: of(place, "mia")),
    "ban_from_community": ("ada", lambda place: of(place, "mia")),
    "unban_from_community": ("ada", lambda place: {"community_id": place.public, "user_id": place.ids["max"]}),
    "invite": ("ada", lambda place: of(place, "max")),
    "invite_by_link": ("ada", lambda place: {"community_id": place.private, "code_hash": b"1"}),
    "accept_invitation": ("zoe", lambda place: {"invitation_id": 1}),
    "decline_invitation": ("zoe", lambda place: {"invitation_id": 1}),
    "withdraw_invitation": ("ada", lambda place: {"invitation_id": 1}),
    "request_to_join": ("zoe", lambda place: {"community_id": place.public}),
    "accept_request": ("ada", lambda place: {"request_id": 1}),
    "decline_request": ("ada", lambda place: {"request_id": 1}),
    "withdraw_request": ("zoe", lambda place: {"request_id": 1}),
}


def of(place: Place, name: str, **given: Any) -> dict[str, Any]:
    return {"community_id": place.private, "user_id": place.ids[name], **given}


def deciding_on_rights() -> dict[str, Callable[..., Awaitable[Any]]]:
    return {
        name: found
        for module in (community_actions, admission_actions)
        for name, found in inspect.getmembers(module, inspect.iscoroutinefunction)
        if found.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize("name", deciding_on_rights())
async def test_whoever_stands_otherwise_in_a_community_is_told_to_live_delivery(place: Place, name: str) -> None:
    before, known = await place.audiences(), len(await place.told())
    actor, given = ACTS[name]

    await place.act(actor, deciding_on_rights()[name], **given(place))

    after = await place.audiences()
    changed = {key for key in before if before[key] != after[key]}
    told = (await place.told())[known:]
    assert changed <= set(told)
    # Who may read at all is nobody's own: all who follow are looked at again.
    assert (None in told) is (name == "edit_community")


LOSING: dict[str, tuple[str, Callable[..., Awaitable[Any]], Callable[[Place], dict[str, Any]]]] = {
    "leaves": ("mia", community_actions.leave_community, lambda place: {"community_id": place.private}),
    "is removed": ("ada", community_actions.remove_member, lambda place: of(place, "mia")),
    "is banned": ("ada", community_actions.ban_from_community, lambda place: of(place, "mia")),
}


@pytest.mark.parametrize("way", LOSING)
async def test_who_is_out_of_a_private_community_is_sent_nothing_from_then_on(place: Place, way: str) -> None:
    post = await place.community.publish(await place.viewer("ada"), community_id=place.private)
    named = {"post": global_id("Post", post), "sort": "OLDEST"}
    out = await place.community.follow(FOLLOW, await place.viewer("mia"), **named)
    inside = await place.community.follow(FOLLOW, await place.viewer("ada"), **named)
    for watch in (out, inside):
        await watch.frame(0)
    actor, action, given = LOSING[way]

    await place.act(actor, action, **given(place))
    await place.community.answer_post(await place.viewer("ada"), post, "entre nous")

    assert (await inside.frame(1))["comment"]["bodyText"] == "entre nous"
    await out.end()
    assert [frame["__typename"] for frame in out.frames] == ["StreamReady"]


async def test_when_a_community_becomes_private_only_its_members_follow_it_on(place: Place) -> None:
    post = await place.community.publish(await place.viewer("ada"), community_id=place.public)
    elsewhere = await place.community.publish(await place.viewer("ada"))
    named = {"post": global_id("Post", post), "sort": "OLDEST"}
    readers = [NOBODY, await place.viewer("zoe"), await place.viewer("max")]
    out = [await place.community.follow(FOLLOW, who, **named) for who in readers]
    member = await place.community.follow(FOLLOW, await place.viewer("mia"), **named)
    other = await place.community.follow(FOLLOW, NOBODY, **named | {"post": global_id("Post", elsewhere)})
    for watch in (*out, member, other):
        await watch.frame(0)

    await place.act("ada", community_actions.edit_community, community_id=place.public, visibility="PRIVATE")
    for key in (post, elsewhere):
        await place.community.answer_post(await place.viewer("ada"), key, "entre nous")

    for watch in (member, other):
        assert (await watch.frame(1))["comment"]["bodyText"] == "entre nous"
    for watch in out:
        await watch.end()
        assert [frame["__typename"] for frame in watch.frames] == ["StreamReady"]


BRANCH = """
subscription Branch($post: ID!, $root: ID!, $after: LiveCursor) {
  thread(postId: $post, rootId: $root, after: $after) { __typename cursor ... on CommentRemoved { removedId } }
}
"""


async def test_who_follows_a_branch_is_told_when_it_goes_with_the_tombstone_above(community: Any) -> None:
    greg, *_ = await people(community)
    post = await community.publish(greg)
    top = await community.answer_post(greg, post)
    root = await community.answer_post(greg, post, parent=top)
    leaf = await community.answer_post(greg, post, parent=root)
    for key in (top, root):
        await community.act(lambda change, key=key: comment_actions.delete_comment(change, comment_id=key), greg)
    named = {"post": global_id("Post", post), "root": global_id("Comment", root)}
    watch = await community.follow(BRANCH, **named)
    ready = await watch.frame(0)

    await community.act(lambda change: comment_actions.delete_comment(change, comment_id=leaf), greg)

    removed = {"__typename": "CommentRemoved", "removedId": global_id("Comment", top)}
    assert removed.items() <= (await watch.frame(1)).items()
    again = await community.follow(BRANCH, **named, after=ready["cursor"])
    assert removed.items() <= (await again.frame(1)).items()


async def test_who_comes_back_is_not_shown_what_was_erased_meanwhile(community: Any) -> None:
    greg, michel, _ = await people(community)
    post = await community.publish(greg)
    named = {"post": global_id("Post", post), "sort": "OLDEST"}
    watch = await community.follow(FOLLOW, **named)
    ready = await watch.frame(0)
    said = await community.answer_post(greg, post, "mon adresse")
    assert (await watch.frame(1))["comment"]["bodyText"] == "mon adresse"
    await community.answer_post(michel, post, parent=said)
    await community.act(lambda change: comment_actions.delete_comment(change, comment_id=said), greg)

    again = await community.follow(FOLLOW, **named, after=ready["cursor"])

    assert (await again.frame(1))["comment"]["bodyText"] is None


async def test_an_operation_on_an_open_socket_has_the_rights_of_now(community: Any) -> None:
    greg, *_ = await people(community)
    secret = await community.secret_of(greg)
    member = Member(greg, secret)
    asked = {"query": "{ viewer { user { handle } } }"}
    assert b"greg" in await community.door.begin(member, asked)
    tokens = (await community.data("{ viewer { apiTokens { nodes { id } } } }", greg))["viewer"]["apiTokens"]["nodes"]
    key = key_of(tokens[0]["id"], "ApiToken")

    await community.act(lambda change: user_actions.revoke_api_token(change, token_id=key), greg)

    with pytest.raises(Refusing, match="UNAUTHENTICATED"):
        await community.door.begin(member, asked)
    with pytest.raises(Refusing, match="UNAUTHENTICATED"):
        await community.door.begin(member, {"query": FOLLOW, "variables": {"post": "x", "sort": "OLDEST"}})


async def test_a_null_and_a_missing_variable_are_not_the_same_group(community: Any) -> None:
    greg, *_ = await people(community)
    post = await community.publish(greg)
    for _ in range(3):
        await community.answer_post(greg, post)
    text = """subscription Few($post: ID!, $n: Int = 1) {
        commentAdded(postId: $post) { cursor post { comments(first: $n) { nodes { number } } } }
    }"""
    few = await community.follow(text, post=global_id("Post", post))
    many = await community.follow(text, post=global_id("Post", post), n=None)
    await community.settled([few, many])

    await community.answer_post(greg, post)

    assert len((await few.frame(0))["post"]["comments"]["nodes"]) == 1
    assert len((await many.frame(0))["post"]["comments"]["nodes"]) == 4
