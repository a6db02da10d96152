"""Who asks: which secret opens which account, and until when."""

from typing import Any

from graph.audience import SCOPES, Audience
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.users import actions
from graph.users.authentication import authenticate, viewer_of
from graph.users.tokens import new_secret

SECOND = 1_000_000  # µs


async def test_a_secret_tells_who_asks_and_what_they_belong_to(site: Any) -> None:
    ada = await site.viewer(await site.person("ada", role="ADMIN"))
    greg_id = await site.person("greg")
    first, second, _ = [
        await site.act(lambda change, name=name: community_actions.create_community(change, name=name), ada)
        for name in ("First", "Second", "Third")
    ]
    for community, role in ((first, "MEMBER"), (second, "MODERATOR")):
        await site.act(
            lambda change, community=community, role=role: community_actions.set_member(
                change, community_id=community, user_id=greg_id, role=role
            ),
            ada,
        )
    secret = new_secret("API")
    token_id = await site.act(
        lambda change: actions.token_for(change, handle="Greg", name="cli", secret_hash=secret.hash)
    )
    assert await site.by_secret(secret.text) == Viewer(
        Audience(
            viewer_id=greg_id,
            role="MEMBER",
            member_of=frozenset({first, second}),
            moderates=frozenset({second}),
            locale="en",
            scopes=SCOPES,
            token_id=token_id,
        )
    )


async def test_someone_who_belongs_to_nothing_is_recognised_too(site: Any) -> None:
    greg_id = await site.person("greg")
    assert await viewer_of(site.storage, greg_id) == Viewer(Audience(greg_id, "MEMBER"))
    assert await viewer_of(site.storage, greg_id + 1) is None


async def test_what_is_no_secret_is_nobodys(site: Any) -> None:
    await site.person("greg")
    for secret in ("", "pal_t_unknown", "x" * 10_000, "\ud800", "\x00", "' OR 1=1 --"):
        assert await site.by_secret(secret) is None


async def test_a_secret_opens_until_its_last_microsecond(site: Any) -> None:
    await site.person("greg")
    secret = new_secret("API")
    expires_at = site.now + SECOND
    await site.act(
        lambda change: actions.token_for(
            change, handle="greg", name="cli", secret_hash=secret.hash, expires_at=expires_at
        )
    )
    assert await authenticate(site.storage, secret.text, expires_at - 1) is not None
    assert await authenticate(site.storage, secret.text, expires_at) is None


async def test_a_revoked_secret_opens_nothing(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    secret = new_secret("API")
    token_id = await site.act(
        lambda change: actions.create_api_token(change, name="cli", secret_hash=secret.hash), greg
    )
    assert await site.by_secret(secret.text) is not None
    await site.act(lambda change: actions.revoke_api_token(change, token_id=token_id), greg)
    assert await site.by_secret(secret.text) is None
