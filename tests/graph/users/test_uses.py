"""When a session or token was last used is told about once a minute, whatever is asked with it."""

from typing import Any

from graph.storage.tables import tokens
from graph.users import actions, store
from graph.users.authentication import recognise
from graph.users.tokens import new_secret

SECOND = 1_000_000  # µs


async def last_used(site: Any) -> int:
    [row] = await site.table(tokens)
    found: int = dict(zip(tokens.c.keys(), row, strict=True))["last_used_at"]
    return found


async def test_a_use_is_told_once_a_minute(site: Any) -> None:
    await site.person("greg")
    secret = new_secret("API")
    await site.act(lambda change: actions.token_for(change, handle="greg", name="cli", secret_hash=secret.hash))
    made = site.now

    site.now += 59 * SECOND
    await recognise(site.services, secret.text)
    await site.services.uses.finish()
    assert await last_used(site) == made

    site.now += SECOND
    for _ in range(5):
        await recognise(site.services, secret.text)
    await site.services.uses.finish()
    assert await last_used(site) == site.now == made + 60 * SECOND


async def test_requests_side_by_side_tell_it_once(site: Any) -> None:
    await site.person("greg")
    secret = new_secret("API")
    await site.act(lambda change: actions.token_for(change, handle="greg", name="cli", secret_hash=secret.hash))
    site.now += 3600 * SECOND
    told = []
    run = site.services.changes.run

    async def counting(action: Any, **given: Any) -> Any:
        told.append(action)
        return await run(action, **given)

    site.services.changes.run = counting
    for _ in range(10):
        assert await recognise(site.services, secret.text) is not None
    await site.services.uses.finish()
    assert len(told) == 1


async def test_what_is_no_secret_was_not_used(site: Any) -> None:
    assert await recognise(site.services, "pal_t_unknown") is None
    assert await recognise(site.services, "x" * 10_000) is None
    await site.services.uses.finish()
    assert await site.table(tokens) == []


async def test_a_later_use_is_not_told_as_an_earlier_one(site: Any) -> None:
    """Two processes tell at about the same time: the later moment stays."""
    await site.person("greg")
    secret = new_secret("API")
    token_id = await site.act(
        lambda change: actions.token_for(change, handle="greg", name="cli", secret_hash=secret.hash)
    )
    made = site.now
    await store.used(site.storage, token_id, made + 2)
    await store.used(site.storage, token_id, made + 1)
    assert await last_used(site) == made + 2
