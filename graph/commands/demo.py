"""The sample discussion, ready to be tried: made once, served as often as one likes."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.markup import escape

from graph import app, ids
from graph.check import MainJob, StepFailed
from graph.client import Client
from graph.commands.console import say
from graph.commands.databases import make_ready, opened
from graph.commands.failures import Failure
from graph.commands.people import new_token
from graph.commands.serving import closing_all, configure_logs, listening, listening_all, serve, served
from graph.exchange.demo import demo_discussion
from graph.exchange.replay import VISITOR_HANDLE, Loaded, OtherContent, let_in, load_demo
from graph.settings import Settings, masked, settings_from
from graph.storage.migrate import migrate
from graph.users import passwords
from graph.web.examples import Account

TOKEN_LIFETIME: Final = timedelta(days=30)  # a new one is made at each start

QUERY: Final = "{ post(id: %s) { title thread(first: 5) { edges { depth node { bodyText } } liveCursor } } }"


CHECKED_POST: Final = "publier-pour-etre-reconnu"
WRITERS: Final = ("yasmine", "greg")


def check() -> None:
    """Do the main job once, in private: beside a demo that is served, and whatever the settings are.

    Raises Failure, which says which step went wrong and what was seen.
    """
    asyncio.run(_check())


async def _check() -> None:
    console = Console(highlight=False, soft_wrap=True)
    async with private_job() as job:
        console.print(f"The main job, once, at {job.reader.address}, with a database of its own:")
        try:
            async for step, seen in job.run():
                console.print(f" [green]✓[/] {step}: {escape(seen)}")
        except StepFailed as failed:
            console.print(f" [red]✗[/] {failed.step}")
            raise Failure(f"The check failed.  {failed}") from failed
    console.print("Done: what one reads can be followed from there, and nothing is lost.")


@asynccontextmanager
async def private_job() -> AsyncIterator[MainJob]:
    """The main job on a server that exists for the time of the block, on a free port of this machine."""
    with TemporaryDirectory(prefix="palabre-") as folder, closing_all(listening("127.0.0.1", 0)) as sockets:
        port: int = sockets[0].getsockname()[1]
        settings = settings_from(
            {}, {"database_url": f"sqlite:///{folder}/check.db", "port": port, "log_level": "error"}
        )
        configure_logs(settings)
        await asyncio.to_thread(migrate, settings.database_url)
        loaded = await load(settings)
        names = {person.handle: person.name for person in demo_discussion().people}
        address = app.public_url(settings)
        first, second = [(names[each], Client(address, await new_token(settings, each, "check"))) for each in WRITERS]
        async with served(settings, sockets):
            yield MainJob(ids.global_id("Post", loaded.post_ids[CHECKED_POST]), Client(address), (first, second))


def run(settings: Settings) -> None:
    """Make the discussion unless it is there, and serve it until told to stop.  Raises Failure."""
    configure_logs(settings)
    with closing_all(listening_all(settings)) as sockets:
        make_ready(settings)
        loaded = asyncio.run(load(settings))
        token = asyncio.run(_visitors_token(settings))
        guest = asyncio.run(_guest(settings))
        serve(settings, sockets, lambda: _tell(settings, loaded, token), guest)


async def load(settings: Settings) -> Loaded:
    """Raises Failure where the database has other content."""
    async with opened(settings) as storage:
        try:
            return await load_demo(storage, demo_discussion(), app.now())
        except OtherContent as other:
            place = masked(settings.database_url)
            raise Failure(
                f"{place} has people or posts of its own; it is left as it is.  Serve it with `palabre serve`, or name "
                "another database for the sample discussion, like --database-url sqlite:///demo.db."
            ) from other


async def _visitors_token(settings: Settings) -> str:
    expires_at = app.now() + TOKEN_LIFETIME // timedelta(microseconds=1)
    return await new_token(settings, VISITOR_HANDLE, "palabre demo", expires_at=expires_at)


async def _guest(settings: Settings) -> Account:
    """The same visitor for the page at /graphql, by a password that is good until the next start."""
    guest = Account(VISITOR_HANDLE, secrets.token_urlsafe(9))
    async with opened(settings) as storage:
        await let_in(storage, await passwords.hashed(guest.password))
    return guest


def _tell(settings: Settings, loaded: Loaded, token: str) -> None:
    address = app.public_url(settings)
    titles = {post.slug: post.title for post in demo_discussion().posts}
    post_ids = {slug: ids.global_id("Post", key) for slug, key in loaded.post_ids.items()}
    state = "with a new sample discussion" if loaded.is_new else "with the sample discussion that was there, as it is"
    say(f"Serving {masked(settings.database_url)} {state}.")
    say()
    say(f"GraphQL  {address}/graphql  (in a browser: a page with examples)")
    say(f"Live     {address.replace('http', 'ws', 1)}/graphql  (graphql-transport-ws)")
    for slug, post_id in post_ids.items():
        say(f"Post     {post_id}  {titles[slug]}")
    say(f"Token    {token}  (to write as @{VISITOR_HANDLE})")
    say()
    say("Try:")
    say(curl(address, next(iter(post_ids.values())), token))
    say()
    say("Ctrl-C ends it.")


def curl(address: str, post_id: str, token: str) -> str:
    """A line for any shell."""
    body = json.dumps({"query": QUERY % json.dumps(post_id)})
    headers = f"-H 'content-type: application/json' -H 'authorization: Bearer {token}'"
    return f"curl -s {address}/graphql {headers} -d '{body}'"
