"""The examples: they run as they stand, on what this server holds, and tell nobody more than the API does."""

from dataclasses import replace
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse, validate

from graph.comments import actions as comment_actions
from graph.comments.rules import written as comment_written
from graph.communities import actions as community_actions
from graph.context import Context, Viewer
from graph.execution.answers import Engine, Request
from graph.ids import global_id
from graph.posts import actions as post_actions
from graph.posts.rules import written as post_written
from graph.schema import schema
from graph.users import passwords
from graph.web.examples import Account, Example, examples

ENGINE = Engine(schema)
GUEST = Account("you", "sous le baobab")


async def publish(site: Any, viewer: Viewer, title: str, **given: Any) -> int:
    site.now += 1
    post_id: int = await site.act(
        lambda change: post_actions.create_post(change, title=title, written=post_written("…"), **given), viewer
    )
    return post_id


async def answer(site: Any, viewer: Viewer, post_id: int, parent_id: int | None = None) -> int:
    comment_id: int = await site.act(
        lambda change: comment_actions.add_comment(
            change, post_id=post_id, parent_id=parent_id, written=comment_written("oui")
        ),
        viewer,
    )
    return comment_id


async def run(site: Any, example: Example, viewer: Viewer) -> Any:
    answered = await ENGINE.answer(Request(example.query, example.variables), Context(site.services, viewer))
    assert not answered.errors
    return answered.data


def name(example: Example) -> str:
    definition = parse(example.query).definitions[0]
    assert isinstance(definition, OperationDefinitionNode)
    assert definition.name
    return definition.name.value


@pytest.fixture
async def viewer(site: Any) -> Viewer:
    password_hash = await passwords.hashed(GUEST.password)
    viewer: Viewer = await site.viewer(await site.person(GUEST.handle, password_hash=password_hash))
    return viewer


async def test_they_run_as_they_stand_on_the_newest_post_that_has_answers(site: Any, viewer: Viewer) -> None:
    older, answered, newer = [await publish(site, viewer, title) for title in ("older", "answered", "newer")]
    roots = [await answer(site, viewer, post) for post in (older, answered, answered)]
    reply = await answer(site, viewer, answered, roots[1])
    more = [await answer(site, viewer, answered) for _ in range(4)]

    found = await examples(ENGINE, site.services, GUEST)
    assert list(map(name, found)) == ["ReadThread", "PageThread", "SignIn", "Reply", "WatchThread"]
    read, page, sign_in, write, watch = found
    tree = (await run(site, read, Viewer()))["post"]
    assert (tree["title"], tree["counts"]) == ("answered", {"comments": 7})
    assert tree["comments"]["nodes"][0]["replies"]["nodes"][0]["id"] == global_id("Comment", reply)
    rows = (await run(site, page, Viewer()))["post"]["thread"]["edges"]
    assert [row["node"]["id"] for row in rows] == [global_id("Comment", each) for each in more[-2:]]
    assert (await run(site, sign_in, Viewer()))["signIn"]["viewer"]["user"]["handle"] == "you"
    written = (await run(site, write, viewer))["addComment"]
    assert (written["errors"], written["position"]["depth"]) == ([], 2)
    assert written["position"]["ancestorIds"][-1] == write.variables["parent"] == global_id("Comment", reply)
    assert watch.variables == {"post": global_id("Post", answered)}
    assert newer != answered


async def test_without_answers_they_are_about_the_newest_post(site: Any, viewer: Viewer) -> None:
    await publish(site, viewer, "older")
    newest = await publish(site, viewer, "newest")
    found = {name(example): example for example in await examples(ENGINE, site.services)}
    assert found["ReadThread"].variables == {"post": global_id("Post", newest)}
    assert (await run(site, found["Reply"], viewer))["addComment"]["position"]["ancestorIds"] == []


async def test_on_an_empty_site_they_are_those_that_need_nothing(site: Any) -> None:
    found = await examples(ENGINE, site.services)
    assert list(map(name, found)) == ["ReadPosts", "SignIn"]
    assert (await run(site, found[0], Viewer()))["posts"]["nodes"] == []


async def test_they_tell_of_nothing_that_not_everybody_may_see(site: Any, viewer: Viewer) -> None:
    open_post = await publish(site, viewer, "open")
    admin = await site.person("ada", role="ADMIN")
    cave = await site.act(
        lambda change: community_actions.create_community(change, name="Cave", visibility="PRIVATE"),
        await site.viewer(admin),
    )
    member = await site.viewer(admin)
    await answer(site, member, await publish(site, member, "private", community_id=cave))
    found = await examples(ENGINE, site.services)
    assert found[0].variables == {"post": global_id("Post", open_post)}


async def test_nobodys_password_is_in_them_unless_it_is_offered_to_everyone(site: Any) -> None:
    *_, sign_in = await examples(ENGINE, site.services)
    assert sign_in.variables == {"identifier": "", "password": ""}
    assert replace(sign_in, variables={}) == replace((await examples(ENGINE, site.services, GUEST))[-1], variables={})


async def test_each_is_an_operation_of_the_schema(site: Any, viewer: Viewer) -> None:
    found = await examples(ENGINE, site.services)
    await publish(site, viewer, "a post")
    for example in [*found, *await examples(ENGINE, site.services)]:
        assert validate(schema._schema, parse(example.query)) == []
