"""From a request to its answer: by a plan where there is one, else by Strawberry's execution in one read view."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import ExecutionResult, GraphQLError, OperationDefinitionNode, OperationType, execute
from graphql.execution.values import get_variable_values

from graph.context import Context
from graph.errors import request_error, user_error
from graph.execution.documents import Document, Documents, Refused
from graph.execution.guard import Limits, check_operation
from graph.observing.observed import observed, report
from graph.phrases import phrase, said
from graph.refusals import Refusal
from graph.storage.errors import StorageError
from graph.storage.rows import Rows

VARIABLE_ERRORS = 50  # are told of one request


@dataclass(frozen=True, slots=True)
class Request:
    """One operation that a client asks for."""

    query: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    operation_name: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """`executed` is False where the request was refused as a whole; there is no data then."""

    data: Any
    errors: list[dict[str, Any]]
    executed: bool = True
    planned: bool = False

    def body(self) -> dict[str, Any]:
        """The response of the GraphQL specification."""
        body: dict[str, Any] = {}
        if self.errors:
            body["errors"] = self.errors
        if self.executed:
            body["data"] = self.data
        return body


def name_of(operation: OperationDefinitionNode) -> str | None:
    return operation.name.value if operation.name else None


class Engine:
    """Executes operations of one schema."""

    def __init__(self, schema: strawberry.Schema, limits: Limits | None = None) -> None:
        self.schema = schema
        self.limits = limits or Limits()
        self.documents = Documents(schema, self.limits)

    async def answer(self, request: Request, context: Context) -> Answer:
        """The answer to a query or a mutation."""
        answer = await self._answer(request, context)
        observed().answered(planned=answer.planned, errors=answer.errors)
        return answer

    async def _answer(self, request: Request, context: Context) -> Answer:
        locale = context.viewer.audience.locale
        try:
            document = self.documents.read(request.query)
            operation = document.operation(request.operation_name)
            observed().asks(operation.operation.value, name_of(operation), context.viewer.audience.viewer_id)
            variables = self.coerced(operation, request.variables)
            self.held_to_limits(document, operation, variables)
        except Refused as refused:
            return Answer(None, told(refused.errors, locale), executed=False)
        except GraphQLError as error:
            return Answer(None, told([error], locale), executed=False)
        if operation.operation is OperationType.SUBSCRIPTION:
            return Answer(None, told([_belongs_to_sockets(context)], locale), executed=False)
        if operation.operation is OperationType.QUERY:
            planned = await self._planned(document, operation, variables, context)
            if planned is not None:
                return planned
        return await self._executed(document, operation, request, context)

    def coerced(self, operation: OperationDefinitionNode, given: Mapping[str, Any]) -> Any:
        """The variables as the schema wants them.  Raises Refused."""
        found = get_variable_values(
            self.schema._schema, operation.variable_definitions or (), dict(given), max_errors=VARIABLE_ERRORS
        )
        if isinstance(found, list):
            raise Refused(found)
        return found

    def held_to_limits(self, document: Document, operation: OperationDefinitionNode, variables: Any) -> None:
        """Raises Refused for an operation that may bring too much.  `variables` are coerced."""
        wrong = check_operation(operation, document.fragments, variables.coerced, self.limits)
        if wrong is not None:
            raise Refused([wrong])

    async def _planned(
        self, document: Document, operation: OperationDefinitionNode, variables: Any, context: Context
    ) -> Answer | None:
        plan = document.plan(operation, variables.coerced)
        if plan is None:
            return None

        async def work(rows: Rows) -> dict[str, Any]:
            asking = context.services.asking(rows, context.viewer.audience)
            return await plan.run(asking, variables)

        try:
            return Answer(await context.services.storage.read(work), [], planned=True)
        except StorageError as failure:  # to try again, more slowly, would make it worse
            name = operation.name.value if operation.name else None
            message = said("Internal error.", context.viewer.audience.locale)
            return Answer(None, [{"message": message, "extensions": internal(failure, name)}])
        except Exception:
            return None  # the other execution words the errors, field by field

    async def _executed(
        self, document: Document, operation: OperationDefinitionNode, request: Request, context: Context
    ) -> Answer:
        async with context.view:
            if operation.operation is OperationType.QUERY:
                await context.read_anew()
            result = await self.execute(document, operation, request.variables, context, None)
        return Answer(result.data, self.shown(result.errors or [], operation, context.viewer.audience.locale))

    async def execute(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        context: Context,
        root: Any,
    ) -> ExecutionResult:
        """Strawberry's own execution, over the view that the context reads from."""
        result = execute(
            self.schema._schema,
            document.node,
            root_value=root,
            context_value=context,
            variable_values=dict(variables),
            operation_name=name_of(operation),
        )
        finished: Any = await result if isawaitable(result) else result
        assert isinstance(finished, ExecutionResult)
        return finished

    def shown(
        self, errors: list[GraphQLError], operation: OperationDefinitionNode, locale: str
    ) -> list[dict[str, Any]]:
        """The errors as clients may see them: a defect is logged once, and its id is all that leaves."""
        return [_shown(error, operation, locale) for error in errors]


def _belongs_to_sockets(context: Context) -> GraphQLError:
    url = f"{context.services.public_url.replace('http', 'ws', 1)}/graphql"
    message = phrase("Follow a subscription over a socket that speaks graphql-transport-ws, at {url}.", url=url)
    return request_error(message, "VALIDATION")


def told(errors: Sequence[GraphQLError], locale: str) -> list[dict[str, Any]]:
    """Errors that are meant for the client, in its language where they are ours."""
    return [
        {
            **error.formatted,
            "message": said(_message(error), locale),
            "extensions": {"code": "VALIDATION", **(error.extensions or {})},
        }
        for error in errors
    ]


def _message(error: GraphQLError) -> str:
    """As it was raised: placing an error at its field makes a plain text of a phrase."""
    original = error.original_error
    return original.message if isinstance(original, GraphQLError) else error.message


def _shown(error: GraphQLError, operation: OperationDefinitionNode, locale: str) -> dict[str, Any]:
    [formatted] = told([error], locale)
    original = error.original_error
    if original is None or isinstance(original, GraphQLError):
        return formatted
    if isinstance(original, Refusal):
        refusal = user_error(original, locale)
        return {**formatted, "message": refusal.message, "extensions": {"code": refusal.code.name}}
    name = name_of(operation)
    formatted["message"] = said("Internal error.", locale)
    formatted["extensions"] = internal(original, name, error.path)
    return formatted


def internal(defect: BaseException, operation: str | None, path: object = None) -> dict[str, Any]:
    """All that a client may know of a defect."""
    return {"code": "INTERNAL", "id": report(defect, operation, path)}
