"""GraphQL over HTTP: a request's bytes in, a response's bytes out."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from graph.context import Context, Services, Viewer
from graph.execution.answers import Answer, Engine, Request, report
from graph.execution.documents import Refused
from graph.negotiation import GRAPHQL_RESPONSE, JSON, answer_type, prefers_page
from graph.phrases import language_wanted
from graph.users.authentication import authenticate

METHODS: Final = ("GET", "HEAD", "POST")


class Unacceptable(Exception):
    """This is no request that could be executed: status, and why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class HttpEndpoint:
    """Answers POST with a JSON body, and GET for queries.

    `page` answers a GET that asks nothing, from whoever would rather read a page, as browsers do; without it they are
    told what to send.
    """

    def __init__(
        self,
        engine: Engine,
        services: Services,
        *,
        body_bytes_limit: int,
        page: Callable[[HttpRequest], Response] | None = None,
    ) -> None:
        self._engine = engine
        self._services = services
        self._body_bytes_limit = body_bytes_limit
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._response(HttpRequest(scope, receive))
        await response(scope, receive, send)

    async def _response(self, http: HttpRequest) -> Response:
        accept = ",".join(http.headers.getlist("accept"))
        if (
            self._page is not None
            and http.method != "POST"
            and "query" not in http.query_params
            and prefers_page(accept)
        ):
            return self._page(http)
        media_type = answer_type(accept)
        try:
            check_can_be_answered(http.method, media_type)
            viewer = await viewer_from(http.headers.get("authorization"), self._services)
            viewer = viewer.speaking(language_wanted(http.headers.get("accept-language", "")))
            request = await self._request(http)
            answer = await self._engine.answer(request, Context(self._services, viewer))
        except Unacceptable as wrong:
            return _response({"errors": [{"message": str(wrong)}]}, wrong.status, media_type or JSON, wrong.headers)
        except Exception as defect:
            errors = [{"message": "Internal error.", "extensions": {"code": "INTERNAL", "id": report(defect, None)}}]
            return _response({"errors": errors}, 500, media_type or JSON)
        assert media_type is not None, "what cannot be answered is refused"
        return _response(answer.body(), _status(answer, media_type), media_type)

    async def _request(self, http: HttpRequest) -> Request:
        if http.method != "POST":  # GET, or HEAD
            request = _from_query(http)
            self._check_is_no_mutation(request)
            return request
        content_type = http.headers.get("content-type", "").split(";")[0].strip().lower()
        if content_type != JSON:
            raise Unacceptable(415, f"The body is {content_type or 'of no told type'}; send {JSON}.")
        return _from_json(await self._body(http))

    async def _body(self, http: HttpRequest) -> bytes:
        """Read no more than is allowed."""
        body = bytearray()
        try:
            async for chunk in http.stream():
                body += chunk
                if len(body) > self._body_bytes_limit:
                    raise Unacceptable(413, f"The body has more than {self._body_bytes_limit} bytes.")
        except ClientDisconnect as cut:  # nobody is there to read the answer
            raise Unacceptable(400, "The body was cut short.") from cut
        return bytes(body)

    def _check_is_no_mutation(self, request: Request) -> None:
        try:
            operation = self._engine.documents.read(request.query).operation(request.operation_name)
        except (Refused, GraphQLError):
            return  # said with the answer
        if operation.operation is OperationType.MUTATION:
            raise Unacceptable(405, "GET is for queries only; send this with POST.", {"Allow": "POST"})


def check_can_be_answered(method: str, media_type: str | None) -> None:
    """Raises Unacceptable for a method, or a wish, that nothing here answers."""
    if method not in METHODS:
        raise Unacceptable(405, f"{method[:20]} does nothing here.", {"Allow": ", ".join(METHODS)})
    if media_type is None:
        raise Unacceptable(406, f"Answers are {GRAPHQL_RESPONSE} or {JSON}; accept one of them.")


async def viewer_from(authorization: str | None, services: Services) -> Viewer:
    """Raises Unacceptable for credentials that are no good; without any, nobody is signed in."""
    secret = bearer(authorization)
    if secret is None:
        return Viewer()
    viewer = await authenticate(services.storage, secret, services.now())
    if viewer is None:
        raise Unacceptable(401, "This token is unknown, ended or expired.", {"WWW-Authenticate": "Bearer"})
    return viewer


def bearer(authorization: str | None) -> str | None:
    """The secret in `Bearer …`.  Raises Unacceptable for another scheme."""
    if authorization is None or not authorization.strip():
        return None
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unacceptable(401, "Authorization is `Bearer` and a token.", {"WWW-Authenticate": "Bearer"})
    return secret.strip()


def _from_json(body: bytes) -> Request:
    try:
        given = orjson.loads(body)
    except ValueError as wrong:
        raise Unacceptable(400, f"The body is no JSON: {wrong}.") from wrong
    if not isinstance(given, dict):
        raise Unacceptable(400, "The body is an object with a `query`.")
    return _request(given)


def _from_query(http: HttpRequest) -> Request:
    given: dict[str, Any] = dict(http.query_params)
    try:
        if "variables" in given:
            given["variables"] = orjson.loads(given["variables"])
    except ValueError as wrong:
        raise Unacceptable(400, f"`variables` is no JSON: {wrong}.") from wrong
    return _request(given)


def _request(given: Mapping[str, Any]) -> Request:
    query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise Unacceptable(400, "`query` is the text of a document.")
    if not isinstance(variables, dict | None):
        raise Unacceptable(400, "`variables` is an object.")
    if not isinstance(name, str | None):
        raise Unacceptable(400, "`operationName` is a text.")
    return Request(query, variables or {}, name)


def _status(answer: Answer, media_type: str) -> int:
    """A request that was not executed is told by the status only where the client knows that media type."""
    return 400 if not answer.executed and media_type == GRAPHQL_RESPONSE else 200


def _response(body: object, status: int, media_type: str, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, dict(headers or {}), media_type=f"{media_type}; charset=utf-8")
