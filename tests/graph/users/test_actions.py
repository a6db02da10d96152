"""Accounts and tokens in the database: what is kept, what is refused, what live delivery is told."""

import asyncio
from typing import Any

import pytest

from graph.context import Viewer
from graph.refusals import Invalid, NotFound, NotPermitted, SignInFirst, Taken, TooOften
from graph.storage.tables import former_handles, tokens, users
from graph.users import actions, store
from graph.users.authentication import viewer_of
from graph.users.tokens import new_secret

SECOND = 1_000_000  # µs
DAY = 24 * 3600 * SECOND


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


def kept(table: Any, row: Any) -> dict[str, Any]:
    return dict(zip(table.c.keys(), row, strict=True))


async def open_tokens(site: Any, user_id: int) -> list[tuple[str, str | None]]:
    """(kind, name) of what opens the person's account, in the order in which it was made."""
    found = await store.tokens_of(site.storage, user_id, site.now)
    return [(row[1], row[2]) for row in reversed(found)]


async def with_everything(site: Any, handle: str = "greg", **given: Any) -> tuple[int, Viewer]:
    """Somebody with two sessions, the first of which is in use, and an API token."""
    user_id = await site.person(handle, password_hash="hash", **given)
    secrets = [new_secret("SESSION") for _ in range(2)]
    for name, secret in zip(("here", "there"), secrets, strict=True):
        await site.act(
            lambda change, name=name, secret=secret: actions.sign_in(
                change,
                user_id=user_id,
                checked_hash="hash",
                secret_hash=secret.hash,
                expires_at=site.now + DAY,
                device=name,
            )
        )
    here = await site.by_secret(secrets[0].text)
    await site.act(lambda change: actions.create_api_token(change, name="cli", secret_hash=handle.encode()), here)
    return user_id, here


HERE, THERE, CLI = ("SESSION", "here"), ("SESSION", "there"), ("API", "cli")


@pytest.mark.parametrize(("here_too", "left"), [(False, [HERE, CLI]), (True, [CLI])])
async def test_one_signs_out_everywhere_but_here_or_here_too(
    site: Any, here_too: bool, left: list[tuple[str, str]]
) -> None:
    user_id, here = await with_everything(site)
    await with_everything(site, "other")
    ended = await site.act(lambda change: actions.sign_out_everywhere(change, here_too=here_too), here)
    assert ended == 3 - len(left)
    assert await open_tokens(site, user_id) == left
    assert await open_tokens(site, user_id + 1) == [HERE, THERE, CLI]
    assert await site.events() == [("access_changed", f'{{"user_id":{user_id},"token_id":null}}')]


def changing(**given: Any) -> Any:
    asked = {"checked_hash": "hash", "password_hash": "other", "secret_hash": b"new", "expires_at": 2**60, **given}
    return lambda change: actions.change_password(change, **asked)


@pytest.mark.parametrize(("end_api_tokens", "left"), [(False, [HERE, CLI]), (True, [HERE])])
async def test_another_password_ends_all_sessions_but_the_one_in_use_whose_secret_changes(
    site: Any, end_api_tokens: bool, left: list[tuple[str, str]]
) -> None:
    user_id, here = await with_everything(site)
    assert await site.act(changing(end_api_tokens=end_api_tokens), here) == here.token_id
    assert await open_tokens(site, user_id) == left
    row = kept(tokens, (await site.table(tokens))[0])
    assert (row["id"], bytes(row["secret_hash"]), row["expires_at"]) == (here.token_id, b"new", 2**60)
    assert kept(users, (await site.table(users))[0])["password_hash"] == "other"
    assert await site.events() == [("access_changed", f'{{"user_id":{user_id},"token_id":null}}')]


async def test_a_program_that_changes_the_password_keeps_its_token_and_ends_the_sessions(site: Any) -> None:
    user_id, _ = await with_everything(site)
    program = new_secret("API")
    await site.act(lambda change: actions.token_for(change, handle="greg", name="program", secret_hash=program.hash))
    viewer = await site.by_secret(program.text)
    assert await site.act(changing(end_api_tokens=True), viewer) is None
    assert await open_tokens(site, user_id) == [("API", "program")]
    assert await site.by_secret(program.text) == viewer


async def test_a_password_changed_meanwhile_is_not_changed_again(site: Any) -> None:
    user_id, here = await with_everything(site)
    with pytest.raises(Invalid) as refused:
        await site.act(changing(checked_hash="former"), here)
    assert refused.value.path == ("input", "currentPassword")
    assert await open_tokens(site, user_id) == [HERE, THERE, CLI]
    assert kept(users, (await site.table(users))[0])["password_hash"] == "hash"
    assert await site.events() == []


@pytest.mark.parametrize(("end_api_tokens", "left"), [(False, [CLI]), (True, [])])
async def test_a_password_that_is_reset_ends_all_sessions(site: Any, end_api_tokens: bool, left: Any) -> None:
    user_id, _ = await with_everything(site)
    assert user_id == await site.act(
        lambda change: actions.reset_password(
            change, user_id=user_id, password_hash="other", end_api_tokens=end_api_tokens
        )
    )
    assert await open_tokens(site, user_id) == left
    assert kept(users, (await site.table(users))[0])["password_hash"] == "other"
    with pytest.raises(NotFound):
        await site.act(lambda change: actions.reset_password(change, user_id=99, password_hash="x"))


async def test_another_role_ends_the_sessions_and_leaves_programs_in(site: Any) -> None:
    user_id, here = await with_everything(site)
    await site.act(lambda change: actions.set_role(change, handle="greg", role="ADMIN"))
    assert await open_tokens(site, user_id) == [CLI]
    assert await site.act(lambda change: actions.sign_out_everywhere(change, here_too=True), here) == 0


# --- handles ----------------------------------------------------------------------------------------------------


def renaming(handle: str) -> Any:
    return lambda change: actions.change_handle(change, handle=handle)


async def handles(site: Any) -> list[str]:
    return [kept(users, row)["handle"] for row in await site.table(users)]


async def test_a_former_handle_leads_to_its_person_and_is_nobody_elses(site: Any) -> None:
    greg_id = await site.person("Greg")
    await site.act(renaming("gregory"), await site.viewer(greg_id))
    other = await site.viewer(await site.person("other"))
    assert (
        await store.id_by_handle(site.storage, "greg") == await store.id_by_handle(site.storage, "gregory") == greg_id
    )
    for attempt in (signing_up("GREG", "a@example.org"), renaming("grég")):
        with pytest.raises(Taken) as refused:
            await site.act(attempt, other)
        assert refused.value.path == ("input", "handle")
    assert await handles(site) == ["gregory", "other"]


async def test_a_former_handle_is_taken_back_by_its_owner(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    await site.act(renaming("gregory"), greg)
    site.now += 7 * DAY
    await site.act(renaming("Greg"), greg)
    assert await handles(site) == ["Greg"]
    [row] = await site.table(former_handles)
    assert kept(former_handles, row)["handle_key"] == "gregory"


async def test_a_handle_changes_once_a_week_and_its_spelling_at_any_time(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    await site.act(renaming("gregory"), greg)
    await site.act(renaming("Gregory"), greg)
    await site.act(renaming("GREGORY"), greg)
    site.now += 7 * DAY - SECOND
    with pytest.raises(TooOften) as refused:
        await site.act(renaming("greg"), greg)
    assert refused.value.retry_after_seconds == 1
    assert await handles(site) == ["GREGORY"]
    site.now += SECOND
    await site.act(renaming("greg"), greg)
    assert await handles(site) == ["greg"]


async def test_ten_former_handles_are_kept_and_no_more(site: Any) -> None:
    greg = await site.viewer(await site.person("greg0"))
    for number in range(1, 11):
        await site.act(renaming(f"greg{number}"), greg)
        site.now += 7 * DAY
    with pytest.raises(Invalid) as refused:
        await site.act(renaming("greg11"), greg)
    assert (refused.value.limit, refused.value.path) == (10, ("input", "handle"))
    await site.act(renaming("greg3"), greg)
    assert await handles(site) == ["greg3"]
    assert len(await site.table(former_handles)) == 10


async def test_a_handle_that_looks_like_another_is_refused(site: Any) -> None:
    await site.person("coco")
    other = await site.viewer(await site.person("other"))
    before = await site.table(users)
    for attempt in (signing_up("сосо", "a@example.org"), renaming("сосо")):
        with pytest.raises(Taken, match="looks like"):
            await site.act(attempt, other)
    assert await site.table(users) == before
    await site.person("рарра")
    with pytest.raises(Taken, match="looks like"):
        await site.act(renaming("pappa"), other)


async def test_one_of_many_who_want_handles_that_look_alike_gets_it(site: Any) -> None:
    wanting = [site.act(signing_up(handle, f"{number}@example.org")) for number, handle in enumerate(["coco", "сосо"])]
    outcomes = await asyncio.gather(*wanting, return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Taken", "int"]


# --- closing an account -----------------------------------------------------------------------------------------


async def test_a_closed_account_lets_nobody_in_until_its_owner_signs_in(site: Any) -> None:
    user_id, here = await with_everything(site)
    await site.act(lambda change: actions.deactivate_account(change, checked_hash="hash"), here)
    assert await open_tokens(site, user_id) == []
    assert await viewer_of(site.storage, user_id) is None
    assert await site.events() == [("access_changed", f'{{"user_id":{user_id},"token_id":null}}')]

    site.now += 30 * DAY - 1
    await session_of(site, user_id, "hash")
    assert (await site.viewer(user_id)).audience.viewer_id == user_id
    row = kept(users, (await site.table(users))[0])
    assert (row["deactivated_at"], row["returns_until"]) == (None, None)


async def test_after_thirty_days_only_the_operator_opens_a_closed_account(site: Any) -> None:
    user_id, here = await with_everything(site)
    await site.act(lambda change: actions.deactivate_account(change, checked_hash="hash"), here)
    site.now += 30 * DAY
    with pytest.raises(SignInFirst):
        await session_of(site, user_id, "hash")
    assert await open_tokens(site, user_id) == []
    await site.act(lambda change: actions.reactivate(change, handle="greg"))
    await session_of(site, user_id, "hash")
    assert len(await open_tokens(site, user_id)) == 1


async def test_an_account_that_the_operator_closed_is_not_opened_by_signing_in(site: Any) -> None:
    user_id, _ = await with_everything(site)
    await site.act(lambda change: actions.deactivate(change, handle="greg"))
    assert await open_tokens(site, user_id) == []
    with pytest.raises(SignInFirst):
        await session_of(site, user_id, "hash")


async def test_an_account_is_not_closed_when_the_password_was_changed_meanwhile(site: Any) -> None:
    user_id, here = await with_everything(site)
    with pytest.raises(Invalid) as refused:
        await site.act(lambda change: actions.deactivate_account(change, checked_hash="former"), here)
    assert refused.value.path == ("input", "password")
    assert await open_tokens(site, user_id) == [HERE, THERE, CLI]


# --- the operator -----------------------------------------------------------------------------------------------


async def test_the_operator_sets_passwords_renames_and_ends_what_opens_an_account(site: Any) -> None:
    user_id, _ = await with_everything(site)
    for _ in range(2):  # as often as they like, and to reserved handles
        await site.act(lambda change: actions.rename(change, handle="greg", to="admin"))
        await site.act(lambda change: actions.rename(change, handle="admin", to="greg"))
    found = await store.tokens_of(site.storage, user_id, site.now)
    assert [(row[1], row[3]) for row in found] == [
        ("API", "ACCOUNT COMMUNITIES READ WRITE"),
        ("SESSION", "ACCOUNT COMMUNITIES READ WRITE"),
        ("SESSION", "ACCOUNT COMMUNITIES READ WRITE"),
    ]
    assert await site.act(lambda change: actions.revoke(change, token_id=found[0][0])) == user_id
    assert await open_tokens(site, user_id) == [HERE, THERE]
    with pytest.raises(NotFound):
        await site.act(lambda change: actions.revoke(change, token_id=found[0][0]))
    await site.act(lambda change: actions.set_password(change, handle="admin", password_hash="other"))
    assert await open_tokens(site, user_id) == []
    assert kept(users, (await site.table(users))[0])["password_hash"] == "other"


async def test_the_operator_gives_a_program_as_little_as_it_needs(site: Any) -> None:
    await site.person("greg")
    secret = new_secret("API")
    await site.act(
        lambda change: actions.token_for(
            change, handle="greg", name="reader", secret_hash=secret.hash, scopes=["WRITE"]
        )
    )
    assert (await site.by_secret(secret.text)).audience.scopes == {"READ", "WRITE"}


async def test_a_token_makes_none_that_may_more_or_lives_longer(site: Any) -> None:
    await site.person("greg")
    maker = new_secret("API")
    await site.act(
        lambda change: actions.token_for(
            change,
            handle="greg",
            name="maker",
            secret_hash=maker.hash,
            scopes=["ACCOUNT"],
            expires_at=site.now + DAY,
        )
    )
    viewer = await site.by_secret(maker.text)
    before = await site.table(tokens)

    def making(**given: Any) -> Any:
        return lambda change: actions.create_api_token(change, name="made", secret_hash=b"made", **given)

    with pytest.raises(NotPermitted) as wanted_more:
        await site.act(making(scopes=["ACCOUNT", "WRITE"]), viewer)
    assert wanted_more.value.requires == "WRITE"
    with pytest.raises(Invalid) as wanted_longer:
        await site.act(making(expires_at=site.now + DAY + 1), viewer)
    assert wanted_longer.value.path == ("input", "expiresAt")
    assert await site.table(tokens) == before

    await site.act(making(), viewer)
    made = kept(tokens, (await site.table(tokens))[-1])
    assert (made["scopes"], made["expires_at"]) == ("ACCOUNT READ", site.now + DAY)
