"""Asking a server on this machine how it is: for containers, and for people at a terminal."""

import http.client
import json
from typing import Final

from graph.commands.console import say
from graph.commands.failures import Failure
from graph.settings import Settings

ANSWER_SECONDS: Final = 4  # a container is given five
ANYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where one listens everywhere, one is found at home


def ask(settings: Settings, *, is_ready: bool) -> None:
    """Raises Failure where the server does not answer, or says that something is wrong."""
    path = "/readyz" if is_ready else "/healthz"
    host = ANYWHERE.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        status, body = response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"Nothing answers at {host} port {settings.port}: {error}.") from error
    finally:
        connection.close()
    if status != 200:
        raise Failure(f"{path} says {status}: {_wrong(body)}.")
    say("ready" if is_ready else "alive")


def _wrong(body: bytes) -> str:
    """What is not ready; nothing is quoted that does not come from Palabre."""
    try:
        return ", ".join(map(str, json.loads(body)["notReady"]))
    except (ValueError, LookupError, TypeError):
        return "that is not Palabre"
