"""People as a client sees them: the viewer, and anybody by id or handle."""

from typing import Any

import pytest

from graph.context import Viewer
from graph.ids import global_id


async def test_a_visitor_is_no_viewer(site: Any) -> None:
    assert await site.ask("{ viewer { id } }") == {"viewer": None}


async def test_the_viewer_sees_their_own_account(site: Any) -> None:
    greg_id = await site.person("greg", email="greg@example.org")
    await site.person("ada")
    greg = await site.viewer(greg_id)
    assert await site.ask("{ viewer { id email settings { locale } user { id handle } } }", greg) == {
        "viewer": {
            "id": global_id("Viewer", greg_id),
            "email": "greg@example.org",
            "settings": {"locale": "en"},
            "user": {"id": global_id("User", greg_id), "handle": "greg"},
        }
    }


async def test_everybody_sees_a_person_as_they_show_themself(site: Any) -> None:
    await site.person("Zoé", display_name="Zoé Martin", role="MODERATOR")
    asked = """{ user(handle: "ZOE") { handle displayName avatarUrl url bio role createdAt } }"""
    assert await site.ask(asked) == {
        "user": {
            "handle": "Zoé",
            "displayName": "Zoé Martin",
            "avatarUrl": None,
            "url": "https://palabre.test/@Zo%C3%A9",
            "bio": None,
            "role": "MODERATOR",
            "createdAt": "2023-11-14T22:13:20.000000Z",
        }
    }


async def test_a_person_is_found_by_id_or_by_handle(site: Any) -> None:
    greg_id = await site.person("greg")
    asked = "query ($id: ID, $handle: String) { user(id: $id, handle: $handle) { handle } }"
    for given in ({"id": global_id("User", greg_id)}, {"handle": "GREG"}, {"handle": "greg", "id": None}):
        answer = await site.answer(asked, Viewer(), **given)
        assert answer.data == {"user": {"handle": "greg"}}


@pytest.mark.parametrize("handle", ["nobody", "", "\x00", "greg\x00", "%", "\ud800"])
async def test_an_unknown_person_is_null(site: Any, handle: str) -> None:
    await site.person("ada")
    answer = await site.answer("query ($handle: String) { user(handle: $handle) { id } }", handle=handle)
    assert (answer.data, answer.errors) == ({"user": None}, None)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("", "VALIDATION"),
        ('(id: "VXNlcjox", handle: "greg")', "VALIDATION"),
        ('(id: "nonsense")', "ID_INVALID"),
        (f'(id: "{global_id("Post", 1)}")', "ID_INVALID"),
    ],
)
async def test_a_wrong_way_to_ask_is_the_clients_error(site: Any, arguments: str, code: str) -> None:
    asked = f"{{ user{arguments} {{ id }} }}" if arguments else "{ user { id } }"
    answer = await site.answer(asked)
    assert [error.extensions["code"] for error in answer.errors] == [code]
    assert answer.data == {"user": None}
