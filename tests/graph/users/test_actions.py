"""Accounts and tokens in the database: what is kept, what is refused, what live delivery is told."""

import asyncio
from typing import Any

import pytest

from graph.context import Viewer
from graph.refusals import Invalid, NotFound, SignInFirst, Taken
from graph.storage.tables import tokens, users
from graph.users import actions
from graph.users.tokens import new_secret

SECOND = 1_000_000  # µs


def signing_up(handle: str, email: str) -> Any:
    return lambda change: actions.sign_up(change, handle=handle, email=email, password_hash="hash")


async def test_an_account_is_kept_as_it_was_written(site: Any) -> None:
    user_id = await site.act(signing_up("Zoé", "Zoe@Example.org"))
    [row] = await site.table(users)
    assert {name: value for name, value in zip(users.c.keys(), row, strict=True) if value is not None} == {
        "id": user_id,
        "handle": "Zoé",
        "handle_key": "zoe",
        "display_name": "Zoé",
        "role": "MEMBER",
        "locale": "en",
        "email": "Zoe@Example.org",
        "email_key": "zoe@example.org",
        "password_hash": "hash",
        "created_at": site.now,
    }


@pytest.mark.parametrize(
    ("handle", "email", "field"),
    [
        ("ZOE", "other@example.org", "handle"),
        ("other", "zoe@EXAMPLE.org", "email"),
        ("zoé", "zoe@example.org", "handle"),
    ],
)
async def test_a_handle_or_an_address_that_somebody_has_is_refused(
    site: Any, handle: str, email: str, field: str
) -> None:
    await site.act(signing_up("Zoé", "zoe@example.org"))
    before = await site.table(users)
    with pytest.raises(Taken) as refused:
        await site.act(signing_up(handle, email))
    assert refused.value.path == ("input", field)
    assert await site.table(users) == before


async def test_one_of_many_who_want_a_handle_at_once_gets_it(site: Any) -> None:
    wanting = [site.act(signing_up("greg", f"greg{number}@example.org")) for number in range(10)]
    outcomes = await asyncio.gather(*wanting, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Taken"] * 9 + ["int"]
    assert len(await site.table(users)) == 1


async def test_people_without_an_address_do_not_collide(site: Any) -> None:
    one, other = await site.person("one"), await site.person("other")
    assert one != other


async def test_the_operator_gives_out_reserved_handles_and_roles(site: Any) -> None:
    admin_id = await site.person("admin", role="ADMIN", display_name="Ada Lovelace")
    assert (await site.viewer(admin_id)).audience.role == "ADMIN"
    with pytest.raises(Taken):
        await site.person("Admin")


async def test_another_role_on_the_site_is_told_to_live_delivery(site: Any) -> None:
    greg_id = await site.person("greg")
    await site.act(lambda change: actions.set_role(change, handle="GREG", role="MODERATOR"))
    assert (await site.viewer(greg_id)).audience.role == "MODERATOR"
    assert await site.events() == [("access_changed", f'{{"user_id":{greg_id},"token_id":null}}')]
    with pytest.raises(NotFound):
        await site.act(lambda change: actions.set_role(change, handle="nobody", role="ADMIN"))


async def test_a_profile_changes_where_something_is_given(site: Any) -> None:
    greg = await site.viewer(await site.person("greg", display_name="Greg"))
    await site.act(lambda change: actions.edit_profile(change, bio=" I *write*. "), greg)
    await site.act(lambda change: actions.edit_profile(change, display_name="Gregory"), greg)
    [[_, _, _, display_name, bio, *_]] = await site.table(users)
    assert (display_name, bio) == ("Gregory", "I *write*.")
    await site.act(lambda change: actions.edit_profile(change, bio=""), greg)
    [[_, _, _, display_name, bio, *_]] = await site.table(users)
    assert (display_name, bio) == ("Gregory", None)


async def test_a_refused_profile_stays_as_it_was(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    before = await site.table(users)
    with pytest.raises(Invalid):
        await site.act(lambda change: actions.edit_profile(change, display_name="Gregory", bio="x" * 1_001), greg)
    assert await site.table(users) == before


async def test_nobody_does_nothing(site: Any) -> None:
    for action in (
        lambda change: actions.edit_profile(change, bio="x"),
        lambda change: actions.create_api_token(change, name="x", secret_hash=b"x"),
        lambda change: actions.revoke_api_token(change, token_id=1),
        lambda change: actions.sign_out(change, session_id=1),
    ):
        with pytest.raises(SignInFirst):
            await site.act(action, Viewer())
    assert await site.table(tokens) == []


async def session_of(site: Any, user_id: int, password_hash: str, **given: Any) -> int:
    secret = new_secret("SESSION")
    session_id: int = await site.act(
        lambda change: actions.sign_in(
            change,
            user_id=user_id,
            checked_hash=password_hash,
            secret_hash=secret.hash,
            expires_at=site.now + SECOND,
            **given,
        )
    )
    return session_id


async def test_a_session_begins_with_the_password_that_was_compared(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="present")
    session_id = await session_of(site, greg_id, "present", device="Firefox")
    [row] = await site.table(tokens)
    assert (row[0], row[1], row[2], row[4]) == (session_id, greg_id, "SESSION", "Firefox")


async def test_a_password_changed_meanwhile_begins_no_session(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="present")
    with pytest.raises(SignInFirst):
        await session_of(site, greg_id, "former")
    assert await site.table(tokens) == []


async def test_a_weak_hash_makes_way_for_a_stronger_one(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="weak")
    await session_of(site, greg_id, "weak", stronger_hash="strong")
    await session_of(site, greg_id, "strong")


async def test_the_end_of_a_session_is_told_to_live_delivery(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="hash")
    greg = await site.viewer(greg_id)
    session_id = await session_of(site, greg_id, "hash")
    assert await site.act(lambda change: actions.sign_out(change, session_id=session_id), greg) == session_id
    assert await site.events() == [("access_changed", f'{{"user_id":{greg_id},"token_id":{session_id}}}')]
    assert site.told == ["access"]
    with pytest.raises(NotFound):
        await site.act(lambda change: actions.sign_out(change, session_id=session_id), greg)


async def test_only_ones_own_sessions_and_tokens_can_be_ended(site: Any) -> None:
    greg_id = await site.person("greg", password_hash="hash")
    greg = await site.viewer(greg_id)
    mallory = await site.viewer(await site.person("mallory", role="ADMIN"))
    session_id = await session_of(site, greg_id, "hash")
    token_id = await site.act(lambda change: actions.create_api_token(change, name="x", secret_hash=b"x"), greg)
    before = await site.table(tokens)
    for viewer, action in (
        (mallory, lambda change: actions.sign_out(change, session_id=session_id)),
        (mallory, lambda change: actions.revoke_api_token(change, token_id=token_id)),
        (greg, lambda change: actions.sign_out(change, session_id=token_id)),
        (greg, lambda change: actions.revoke_api_token(change, token_id=session_id)),
        (greg, lambda change: actions.sign_out(change, session_id=None)),
    ):
        with pytest.raises(NotFound):
            await site.act(action, viewer)
    assert await site.table(tokens) == before
    assert await site.events() == []


async def test_a_token_that_has_expired_already_is_refused(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    with pytest.raises(Invalid) as refused:
        await site.act(
            lambda change: actions.create_api_token(change, name="x", secret_hash=b"x", expires_at=change.now), greg
        )
    assert refused.value.path == ("input", "expiresAt")
