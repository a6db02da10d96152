"""Who a socket belongs to: by its greeting, else by what the handshake carried."""

from starlette.requests import HTTPConnection
from strawberry.exceptions import ConnectionRejectionError

from graph.context import Viewer
from graph.http.credentials import Credentials, bearer, viewer_from
from graph.http.requests import Unacceptable
from graph.live import Member
from graph.phrases import language_wanted

NO_GOOD = ""  # a secret that nobody has: refused at the greeting, unless that brings another


async def connection_of(connection: HTTPConnection, credentials: Credentials) -> Member:
    """A socket's context; a token or the session's cookie may come with the handshake already."""
    language = language_wanted(connection.headers.get("accept-language", ""))
    member = Member(language=language, client=None if connection.client is None else connection.client.host)
    try:
        member.secret = bearer(connection.headers.get("authorization"))
        if member.secret is None:
            member.secret = credentials.secret_in_cookie(connection.headers)
            member.by_cookie = member.secret is not None
    except Unacceptable:
        member.secret = NO_GOOD
    return member


async def admit(member: Member, credentials: Credentials) -> None:
    """Settle who the connection is; `connection_init.payload.authorization` wins.

    A cookie that is no good any more is nobody's, as in a request: no script could take it away.
    """
    given = (member.connection_params or {}).get("authorization")
    try:
        if given is not None:
            member.secret, member.by_cookie = bearer(str(given)), False
        member.viewer = (await _viewer(member, credentials)).speaking(member.language)
    except Unacceptable as wrong:
        raise ConnectionRejectionError from wrong


async def _viewer(member: Member, credentials: Credentials) -> Viewer:
    if not member.by_cookie or member.secret is None:
        return await viewer_from(None if member.secret is None else f"Bearer {member.secret}", credentials.services)
    viewer = await credentials.standing(member.secret)
    if viewer is None:
        member.secret = None
    return viewer or Viewer()
