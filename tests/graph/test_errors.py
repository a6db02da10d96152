"""Every refusal is shown, by one type and one code of the schema."""

from typing import Any

import pytest

from graph import refusals
from graph.errors import ERROR_TYPES, ErrorCode, request_error, user_error
from graph.refusals import Refusal
from graph.schema import schema

SHOWN: list[tuple[Refusal, str, str, dict[str, Any]]] = [
    (
        refusals.Invalid("no", ("input", "a"), limit=5, actual=6),
        "ValidationError",
        "VALIDATION",
        {"limit": 5, "actual": 6},
    ),
    (refusals.Taken("no", ("input", "a")), "ValidationError", "DUPLICATE", {"limit": None, "actual": None}),
    (refusals.NotFound("no", ("input", "a")), "NotFoundError", "NOT_FOUND", {}),
    (
        refusals.NotPermitted("no", ("input", "a"), requires="ADMIN"),
        "PermissionError",
        "NOT_PERMITTED",
        {"requires": "ADMIN"},
    ),
    (refusals.SignInFirst("no", ("input", "a")), "PermissionError", "UNAUTHENTICATED", {"requires": None}),
    (refusals.Conflict("no", ("input", "a")), "ConflictError", "CONFLICT", {}),
    (refusals.Closed("no", ("input", "a")), "ClosedError", "LOCKED", {}),
    (
        refusals.TooOften("no", ("input", "a"), retry_after_seconds=1.5),
        "RateLimitError",
        "RATE_LIMITED",
        {"retry_after_seconds": 1.5},
    ),
    (refusals.Unavailable("no", ("input", "a")), "UnavailableError", "UNAVAILABLE", {}),
]


@pytest.mark.parametrize(("refusal", "type_name", "code", "more"), SHOWN, ids=lambda value: type(value).__name__)
def test_a_refusal_is_shown_by_its_type_with_its_data(
    refusal: Refusal, type_name: str, code: str, more: dict[str, Any]
) -> None:
    shown = user_error(refusal, "en")
    definition = type(shown).__strawberry_definition__  # type: ignore[attr-defined]  # Strawberry puts it there
    assert definition.name == type_name
    assert {"message": shown.message, "code": shown.code.name, "path": shown.path} == {
        "message": "no",
        "code": code,
        "path": ["input", "a"],
    }
    assert {name: getattr(shown, name) for name in more} == more


def test_a_refusal_of_the_whole_request_points_nowhere() -> None:
    assert user_error(refusals.SignInFirst("Sign in first."), "en").path is None


def test_every_refusal_and_every_code_is_shown_by_one_type() -> None:
    assert {type(refusal) for refusal, *_ in SHOWN} == set(Refusal.__subclasses__())
    assert {code for _, _, code, _ in SHOWN} == set(ErrorCode.__members__)
    in_schema = schema._schema.get_implementations(schema._schema.type_map["UserError"]).objects  # type: ignore[arg-type]  # it is an interface
    assert {found.name for found in in_schema} == {name for _, name, *_ in SHOWN}
    assert len(ERROR_TYPES) == len(in_schema)


def test_what_is_no_known_refusal_is_a_defect() -> None:
    with pytest.raises(AssertionError):
        user_error(Refusal("no"), "en")


def test_a_refusal_says_its_message() -> None:
    assert str(refusals.NotFound("There is no such post.", ("input", "id"))) == "There is no such post."


def test_an_error_of_the_request_has_its_code_and_data_in_extensions() -> None:
    error = request_error("no", "VALIDATION", limit=1)
    assert error.formatted == {"message": "no", "extensions": {"code": "VALIDATION", "limit": 1}}


def test_a_refusal_is_shown_in_the_language_of_who_reads_it() -> None:
    assert user_error(refusals.SignInFirst("Sign in first."), "fr").message == "Connectez-vous d’abord."
