"""Accounts and tokens, made by the operator."""

from graph import app
from graph.audience import VISITOR
from graph.change import Action, Changes, T
from graph.commands.databases import opened
from graph.settings import Settings
from graph.users import actions
from graph.users.tokens import new_secret
from subscriptions.brokers.memory import MemoryBroker


async def create_user(settings: Settings, handle: str, *, is_admin: bool) -> None:
    """Raises Refusal."""
    role = "ADMIN" if is_admin else "MEMBER"
    await _carry_out(settings, lambda change: actions.create_user(change, handle=handle, role=role))


async def new_token(settings: Settings, handle: str, name: str, *, expires_at: int | None = None) -> str:
    """The secret of a new API token of this person.  Raises Refusal."""
    secret = new_secret("API")
    await _carry_out(
        settings,
        lambda change: actions.token_for(
            change, handle=handle, name=name, secret_hash=secret.hash, expires_at=expires_at
        ),
    )
    return secret.text


async def _carry_out(settings: Settings, action: Action[T]) -> T:
    async with opened(settings) as storage:
        # Nobody hears this bell: servers of the same database see by themselves what was committed elsewhere.
        changes = Changes(storage, MemoryBroker(), app.now)
        return await changes.run(action, audience=VISITOR)
