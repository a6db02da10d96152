"""The viewer's sessions and tokens: in pages, and nobody else's to see."""

from typing import Any

from graph.context import Context, Viewer
from graph.ids import global_id
from graph.schema import schema
from graph.users import actions
from graph.users.tokens import new_secret

PAGE = """query ($first: Int, $after: Cursor, $last: Int, $before: Cursor) { viewer {
    apiTokens(first: $first, after: $after, last: $last, before: $before) {
        nodes { name } edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
} }"""


async def tokens_of(site: Any, viewer: Any, names: str) -> None:
    for name in names:
        secret = new_secret("API")
        await site.act(
            lambda change, name=name, secret=secret: actions.create_api_token(
                change, name=name, secret_hash=secret.hash
            ),
            viewer,
        )


async def test_tokens_are_paged_latest_first_even_when_made_in_one_instant(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    await tokens_of(site, greg, "abcde")
    seen, after = "", None
    for _ in range(3):
        page = (await site.answer(PAGE, greg, first=2, after=after)).data["viewer"]["apiTokens"]
        seen += "".join(node["name"] for node in page["nodes"])
        after = page["pageInfo"]["endCursor"]
    assert seen == "edcba"
    assert not page["pageInfo"]["hasNextPage"]
    back = (await site.answer(PAGE, greg, last=2, before=page["pageInfo"]["startCursor"])).data["viewer"]["apiTokens"]
    assert [edge["node"]["name"] for edge in back["edges"]] == ["c", "b"]


async def test_sessions_and_tokens_are_two_lists(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="hash")
    greg = await site.viewer(greg_id)
    await tokens_of(site, greg, "a")
    await site.act(
        lambda change: actions.sign_in(
            change, user_id=greg_id, checked_hash="hash", secret_hash=b"s", expires_at=site.now + 1, device="Firefox"
        )
    )
    asked = "{ viewer { sessions { nodes { device expiresAt } } apiTokens { nodes { name expiresAt } } } }"
    assert (await site.ask(asked, greg))["viewer"] == {
        "sessions": {"nodes": [{"device": "Firefox", "expiresAt": "2023-11-14T22:13:20.000001Z"}]},
        "apiTokens": {"nodes": [{"name": "a", "expiresAt": None}]},
    }


async def test_nobody_sees_another_persons_tokens(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    admin = await site.viewer(await site.person("ada", role="ADMIN"))
    await tokens_of(site, greg, "abc")
    assert await site.ask("{ viewer { apiTokens { nodes { name } } } }", admin) == {
        "viewer": {"apiTokens": {"nodes": []}}
    }


async def test_an_account_and_its_tokens_are_found_by_id_by_their_owner_alone(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="hash")
    greg = await site.viewer(greg_id)
    admin = await site.viewer(await site.person("ada", role="ADMIN"))
    await tokens_of(site, greg, "a")
    kinds = {"Viewer": greg_id, "ApiToken": 1, "Session": 1, "User": greg_id}
    assert [await node_of(site, greg, kind, key) for kind, key in kinds.items()] == ["Viewer", "ApiToken", None, "User"]
    assert [await node_of(site, admin, kind, key) for kind, key in kinds.items()] == [None, None, None, "User"]


async def node_of(site: Any, viewer: Viewer, kind: str, key: int) -> str | None:
    """The `__typename` of what the whole schema finds by this id."""
    context = Context(site.services, viewer)
    await context.read_anew()
    asked = f'{{ node(id: "{global_id(kind, key)}") {{ __typename }} }}'
    answer = await schema.execute(asked, context_value=context)
    await context.view.aclose()
    assert not answer.errors, answer.errors
    assert answer.data is not None
    found = answer.data["node"]
    return None if found is None else str(found["__typename"])
