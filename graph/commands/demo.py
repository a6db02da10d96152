"""The sample discussion, ready to be tried: made once, served as often as one likes."""

import asyncio
import json
from datetime import timedelta
from typing import Final

from graph import app, ids
from graph.commands.console import say
from graph.commands.databases import make_ready, opened
from graph.commands.failures import Failure
from graph.commands.people import new_token
from graph.commands.serving import closing_all, configure_logs, listening, serve
from graph.exchange.demo import demo_discussion
from graph.exchange.replay import VISITOR_HANDLE, Loaded, OtherContent, load_demo
from graph.settings import Settings, masked

TOKEN_LIFETIME: Final = timedelta(days=30)  # a new one is made at each start

QUERY: Final = "{ post(id: %s) { title thread(first: 5) { edges { depth node { bodyText } } liveCursor } } }"


def run(settings: Settings) -> None:
    """Make the discussion unless it is there, and serve it until told to stop.  Raises Failure."""
    configure_logs(settings)
    sockets = listening(settings.host, settings.port)
    with closing_all(sockets):
        make_ready(settings)
        loaded = asyncio.run(load(settings))
        token = asyncio.run(_visitors_token(settings))
        serve(settings, sockets, lambda: _tell(settings, loaded, token))


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


def _tell(settings: Settings, loaded: Loaded, token: str) -> None:
    address = app.public_url(settings)
    titles = {post.slug: post.title for post in demo_discussion().posts}
    post_ids = {slug: ids.global_id("Post", key) for slug, key in loaded.post_ids.items()}
    state = "with a new sample discussion" if loaded.is_new else "with the sample discussion that was there, as it is"
    say(f"Serving {masked(settings.database_url)} {state}.")
    say()
    say(f"GraphQL  {address}/graphql")
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
