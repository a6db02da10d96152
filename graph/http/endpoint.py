"""GraphQL over HTTP: a request's bytes in, a response's bytes out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graph.context import Context
from graph.errors import request_error
from graph.execution.answers import Answer, Engine, Request, told
from graph.execution.documents import Refused
from graph.http.cookies import CookieOutlet
from graph.http.credentials import Credentials
from graph.http.negotiation import GRAPHQL_RESPONSE, JSON, answer_type, prefers_page
from graph.http.requests import BodyLimits, Unacceptable, from_address, from_body
from graph.observing.observed import report
from graph.phrases import language_wanted, phrase

METHODS: Final = ("GET", "HEAD", "POST", "OPTIONS")
ALLOW: Final = ", ".join(METHODS)
CODES: Final = {401: "UNAUTHENTICATED", 403: "FORBIDDEN"}
# Whatever is answered depends on who asks, from where and how; nobody between us may keep it.
ALWAYS: Final = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Accept-Language, Authorization, Cookie, Origin",
    "X-Content-Type-Options": "nosniff",
}


class HttpEndpoint:
    """Answers POST with a JSON body, and GET for queries.

    `page` answers a GET that asks nothing, from whoever would rather read a page, as browsers do; without it they are
    told what to send.
    """

    def __init__(
        self,
        engine: Engine,
        credentials: Credentials,
        limits: BodyLimits,
        *,
        page: Callable[[HttpRequest], Awaitable[Response]] | None = None,
    ) -> None:
        self._engine = engine
        self._credentials = credentials
        self._limits = limits
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answered(HttpRequest(scope, receive))
        await response(scope, receive, send)

    async def _shown_page(self, http: HttpRequest) -> Response | None:
        if self._page is None or http.method not in ("GET", "HEAD") or "query" in http.query_params:
            return None
        return await self._page(http) if prefers_page(_accept(http)) else None

    async def _answered(self, http: HttpRequest) -> Response:
        media_type = answer_type(_accept(http))
        try:
            response = await self._shown_page(http) or await self._answer(http, media_type)
        except Unacceptable as wrong:
            language = language_wanted(http.headers.get("accept-language", "")) or "en"
            errors = told([request_error(wrong.message, CODES.get(wrong.status, "BAD_REQUEST"))], language)
            response = _response({"errors": errors}, wrong.status, media_type or JSON, wrong.headers)
        except Exception as defect:
            errors = [{"message": "Internal error.", "extensions": {"code": "INTERNAL", "id": report(defect, None)}}]
            response = _response({"errors": errors}, 500, media_type or JSON)
        response.headers.update(self._credentials.origins.shared_with(http.headers.get("origin")))
        return response

    def _options(self, http: HttpRequest) -> Response:
        """What may be sent; a browser asks before a page of another site may."""
        asked = self._credentials.origins.preflight(http.headers, ALLOW)
        return Response(status_code=204, headers={**ALWAYS, "Allow": ALLOW, **asked})

    async def _answer(self, http: HttpRequest, media_type: str | None) -> Response:
        if http.method == "OPTIONS":
            return self._options(http)
        if http.method not in METHODS:
            raise Unacceptable(405, phrase("{method} does nothing here.", method=http.method[:20]), {"Allow": ALLOW})
        if media_type is None:
            message = phrase("Answers are {newer} or {json}; accept one of them.", newer=GRAPHQL_RESPONSE, json=JSON)
            raise Unacceptable(406, message)
        viewer, outlet = await self._credentials.asker(http.headers)
        viewer = viewer.speaking(language_wanted(http.headers.get("accept-language", "")))
        request = await self._request(http)
        client = None if http.client is None else http.client.host
        context = Context(self._credentials.services, viewer, cookie=outlet, client=client)
        answer = await self._engine.answer(request, context)
        return self._with_cookie(_response(answer.body(), _status(answer, media_type), media_type), outlet)

    async def _request(self, http: HttpRequest) -> Request:
        if http.method == "POST":
            return await from_body(http, self._limits)
        request = from_address(http)
        self._check_is_no_mutation(request)
        return request

    def _check_is_no_mutation(self, request: Request) -> None:
        try:
            operation = self._engine.documents.read(request.query).operation(request.operation_name)
        except (Refused, GraphQLError):
            return  # said with the answer
        if operation.operation is OperationType.MUTATION:
            raise Unacceptable(405, "GET is for queries only; send this with POST.", {"Allow": "POST"})

    def _with_cookie(self, response: Response, outlet: CookieOutlet) -> Response:
        header = self._credentials.set_cookie(outlet)
        if header is not None:
            response.headers["Set-Cookie"] = header
        return response


def _accept(http: HttpRequest) -> str:
    return ",".join(http.headers.getlist("accept"))


def _status(answer: Answer, media_type: str) -> int:
    """A request that was not executed is told by the status only where the client knows that media type."""
    return 400 if not answer.executed and media_type == GRAPHQL_RESPONSE else 200


def _response(body: object, status: int, media_type: str, headers: Mapping[str, Any] | None = None) -> Response:
    return Response(
        orjson.dumps(body), status, {**ALWAYS, **(headers or {})}, media_type=f"{media_type}; charset=utf-8"
    )
