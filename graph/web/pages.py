"""Serves the built page and its files: at the API's own address, below whatever path a proxy puts it."""

import secrets
from dataclasses import asdict
from typing import Final

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from graph.context import Services
from graph.execution.answers import Engine
from graph.web.build import BUILT
from graph.web.examples import Account, examples

# Names hold a hash of the contents, so a file never changes.
FOREVER: Final = "public, max-age=31536000, immutable"
# Told here: what the machine knows of media types differs from one to the next.
MEDIA_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
}
# Nothing from anywhere else, no script but our files, and nobody may frame it.  The editor lays its lines out by style
# attributes, which is all that they are let in for; a style element needs the nonce of this very answer.
POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "worker-src 'self'",
        "style-src 'self' 'nonce-{nonce}'",
        "style-src-attr 'unsafe-inline'",
        "font-src 'self'",
        "img-src 'self' data:",  # the editor draws the waves below mistakes so
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
WORKERS_POLICY: Final = "default-src 'none'; script-src 'self'"  # a file that is run as a worker is held to its own

MISSING: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Palabre</title>
<h1>Palabre</h1>
<p>This is the address of the GraphQL API, and all of it works: by POST, or over a socket.</p>
<p>The page to try it out with, GraphiQL, is not built here. <code>make pages</code>, in a checkout that can reach
npm&#8217;s registry, builds it; a wheel that is built there holds it.</p>
</html>
"""


class GraphiQL:
    """The page, with examples about what this server holds as it is asked for."""

    def __init__(self, engine: Engine, services: Services, *, account: Account | None = None) -> None:
        self._engine = engine
        self._services = services
        self._account = account
        index = BUILT / "index.html"
        self._html = index.read_text(encoding="utf-8") if index.is_file() else None

    async def answer(self, http: HttpRequest) -> Response:
        nonce = secrets.token_urlsafe(16)
        headers = {
            "Cache-Control": "no-store",
            "Content-Security-Policy": POLICY.format(nonce=nonce),
            "Cross-Origin-Opener-Policy": "same-origin",
            "Referrer-Policy": "same-origin",
            "Vary": "Accept",
            "X-Content-Type-Options": "nosniff",
        }
        if self._html is None:
            return HTMLResponse(MISSING, 503, headers)
        found = await examples(self._engine, self._services, self._account)
        given = in_html({"examples": [asdict(example) for example in found]})
        return HTMLResponse(self._html.replace("{{nonce}}", nonce).replace("{{given}}", given), headers=headers)


class Assets:
    """The files that the page is made of, and no others: what is asked for is looked up, not opened."""

    def __init__(self) -> None:
        folder = BUILT / "assets"
        self._files = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}

    async def answer(self, http: HttpRequest) -> Response:
        path = self._files.get(http.path_params["name"])
        if path is None:
            return PlainTextResponse("There is no such file.", 404)
        headers = {
            "Cache-Control": FOREVER,
            "Content-Security-Policy": WORKERS_POLICY,
            "ETag": f'"{path.stem}"',
            "X-Content-Type-Options": "nosniff",
        }
        if headers["ETag"] in http.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return FileResponse(path, headers=headers, media_type=MEDIA_TYPES[path.suffix])


def in_html(value: object) -> str:
    """As JSON that no text in it can end: `<` would be all that it takes."""
    return orjson.dumps(value).decode().replace("<", "\\u003c")
