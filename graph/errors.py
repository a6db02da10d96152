"""Refusals as clients see them: a few GraphQL types behind `UserError`, and codes in `extensions` for the rest."""

from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLError

from graph import refusals
from graph.phrases import said
from graph.refusals import Refusal


@strawberry.enum(description="What a refusal is about.  May grow.")
class ErrorCode(Enum):
    VALIDATION = strawberry.enum_value("VALIDATION", description="ValidationError: a value cannot be accepted.")
    DUPLICATE = strawberry.enum_value("DUPLICATE", description="ValidationError: the name is taken.")
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="NotFoundError.")
    NOT_PERMITTED = strawberry.enum_value("NOT_PERMITTED", description="PermissionError: the viewer may not.")
    UNAUTHENTICATED = strawberry.enum_value("UNAUTHENTICATED", description="PermissionError: sign in first.")
    CONFLICT = strawberry.enum_value("CONFLICT", description="ConflictError.")
    RATE_LIMITED = strawberry.enum_value("RATE_LIMITED", description="RateLimitError: too often; try again later.")
    LOCKED = strawberry.enum_value("LOCKED", description="ClosedError: the discussion takes no more answers.")
    UNAVAILABLE = strawberry.enum_value(
        "UNAVAILABLE", description="UnavailableError: this site has not set up what the act would need."
    )


@strawberry.interface(
    description="A refusal.  Switch on `__typename`; an unknown type still has `message` and `code`.",
)
class UserError:
    message: str = strawberry.field(
        description="For people, in French or English as `Accept-Language` asks, else as the account does."
    )
    code: ErrorCode = strawberry.field(description="For programs; each code belongs to exactly one type.")
    path: list[str] | None = strawberry.field(
        description='From the argument down to the input at fault, list indexes in digits: ["input", "body"].'
    )


@strawberry.type(name="ValidationError", description="A value is refused.")
class ValidationError(UserError):
    limit: int | None = strawberry.field(default=None, description="What is allowed, where a number is at stake.")
    actual: int | None = strawberry.field(default=None, description="What was given, where a number is at stake.")


@strawberry.type(name="NotFoundError", description="The subject does not exist or is not visible to the viewer.")
class NotFoundError(UserError):
    pass


@strawberry.type(name="PermissionError", description="The viewer may not, or nobody is signed in.")
class PermissionRefused(UserError):
    requires: str | None = strawberry.field(
        default=None,
        description="The role that would be needed, or the scope that the API token lacks.",
    )


@strawberry.type(
    name="ConflictError",
    description="Somebody changed it first, or the idempotency key was used for another input.",
)
class ConflictError(UserError):
    pass


@strawberry.type(name="ClosedError", description="The discussion takes no more answers.")
class ClosedError(UserError):
    pass


@strawberry.type(name="RateLimitError", description="Too often, or too many at once; try again later.")
class RateLimitError(UserError):
    retry_after_seconds: float = strawberry.field(description="How long to wait before it is tried again.")


@strawberry.type(
    name="UnavailableError",
    description="The operator of this site has not set up what the act would need, such as sending mail.",
)
class UnavailableError(UserError):
    pass


ERROR_TYPES: list[type[UserError]] = [
    ValidationError,
    NotFoundError,
    PermissionRefused,
    ConflictError,
    ClosedError,
    RateLimitError,
    UnavailableError,
]


def user_error(refusal: Refusal, locale: str) -> UserError:
    """The GraphQL object that shows this refusal to somebody with this locale."""
    shown: dict[str, Any] = {"message": said(refusal.message, locale), "path": list(refusal.path) or None}
    match refusal:
        case refusals.Invalid(limit=limit, actual=actual):
            return ValidationError(code=ErrorCode.VALIDATION, limit=limit, actual=actual, **shown)
        case refusals.Taken():
            return ValidationError(code=ErrorCode.DUPLICATE, **shown)
        case refusals.NotFound():
            return NotFoundError(code=ErrorCode.NOT_FOUND, **shown)
        case refusals.NotPermitted(requires=requires):
            return PermissionRefused(code=ErrorCode.NOT_PERMITTED, requires=requires, **shown)
        case refusals.SignInFirst():
            return PermissionRefused(code=ErrorCode.UNAUTHENTICATED, **shown)
        case refusals.Conflict():
            return ConflictError(code=ErrorCode.CONFLICT, **shown)
        case refusals.Closed():
            return ClosedError(code=ErrorCode.LOCKED, **shown)
        case refusals.TooOften(retry_after_seconds=seconds):
            return RateLimitError(code=ErrorCode.RATE_LIMITED, retry_after_seconds=seconds, **shown)
        case refusals.Unavailable():
            return UnavailableError(code=ErrorCode.UNAVAILABLE, **shown)
    raise AssertionError(f"no GraphQL type shows {refusal!r}")


@strawberry.enum(
    description="What `extensions.code` says of an entry in the `errors` of a response: the request is at fault, or "
    "the server, while the refusals of what a mutation was to do are in the `errors` of its payload.  May grow.",
)
class RequestErrorCode(Enum):
    VALIDATION = strawberry.enum_value(
        "VALIDATION", description="The document, its variables or an argument cannot be accepted."
    )
    TOO_COMPLEX = strawberry.enum_value(
        "TOO_COMPLEX",
        description="The operation asks for more than is allowed: see `limit` and `actual` beside the code.",
    )
    ID_INVALID = strawberry.enum_value("ID_INVALID", description="A global id was never given out: see `id`.")
    CURSOR_INVALID = strawberry.enum_value(
        "CURSOR_INVALID", description="A cursor was never given out, or belongs to another list or stream."
    )
    CURSOR_EXPIRED = strawberry.enum_value(
        "CURSOR_EXPIRED",
        description="What came after a cursor is no longer kept: see `reason`, fetch again, and follow from `cursor`.",
    )
    NOT_FOUND = strawberry.enum_value(
        "NOT_FOUND", description="What was to be followed does not exist or is not visible to the viewer."
    )
    UNAUTHENTICATED = strawberry.enum_value("UNAUTHENTICATED", description="The session or token has ended.")
    BAD_REQUEST = strawberry.enum_value(
        "BAD_REQUEST",
        description="The HTTP request cannot be taken: its method, headers, address or body, as the status says.",
    )
    FORBIDDEN = strawberry.enum_value("FORBIDDEN", description="A page of another site used the cookie of this one.")
    NOT_PERMITTED = strawberry.enum_value(
        "NOT_PERMITTED", description="The API token lacks a scope for what is selected: see `requires`."
    )
    INTERNAL = strawberry.enum_value(
        "INTERNAL", description="A defect of the server: its operator finds it in the logs by `id`."
    )


def request_error(message: str, code: str, **extensions: object) -> GraphQLError:
    """An error of the request itself, such as a malformed id: in `errors`, with a RequestErrorCode in `extensions`."""
    return GraphQLError(message, extensions={"code": RequestErrorCode[code].name, **extensions})
