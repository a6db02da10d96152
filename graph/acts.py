"""What all acts of the API have in common: ids in inputs, the key that makes a repetition harmless, the refusals."""

from typing import Any, Final

import strawberry

from graph.ids import Malformed, key_of
from graph.phrases import phrase
from graph.refusals import Invalid

INPUT: Final = strawberry.argument(description="What to do.")


def key_in_input(field: str, given: str, type_name: str) -> int:
    """The key in a global id of this type.  Raises Invalid at this field of the input."""
    try:
        return key_of(given, type_name)
    except Malformed as wrong:
        raise Invalid(phrase("This id is malformed: {reason}.", reason=wrong.reason), ("input", field)) from wrong


def key_given() -> Any:
    return strawberry.field(
        default=None,
        description="Idempotency key that nobody can guess, such as a UUID: for 24 hours the same key of the same "
        "viewer gives the first result, and another input under it is a ConflictError.  Comes back in the payload and, "
        "for the viewer, in the events.",
    )


def key_returned() -> Any:
    return strawberry.field(default=None, description="The `clientMutationId` of the input.")


def errors_field() -> Any:
    return strawberry.field(
        description="Why the act was refused; empty when it was done, and then the other fields have its result."
    )
