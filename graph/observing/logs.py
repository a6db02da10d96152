"""What the program says of itself, one line each on standard error, without anybody's words, addresses or secrets.

A line is a JSON object, or on a developer's console something to read.  What other libraries log has the same form.
A traceback says where it was and what kind of error it is, never what variables hold; the message of an error is told
only where errors of that kind quote nothing that somebody may have typed.
"""

import json
import logging
import re
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, Literal

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from graph.storage.errors import StorageError

Form = Literal["json", "console"]

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)

# Errors whose messages quote names of the program's or the system's, not values.  Of all others the kind is told.
SPEAKING: Final = (
    StorageError, sqlite3.Error, OSError, AttributeError, NameError, TypeError, ArithmeticError, ImportError,
    AssertionError, NotImplementedError, RecursionError, TimeoutError,
)  # fmt: skip
WITHHELD: Final = "(its message may quote what somebody sent, and is withheld)"

# What may never stand in a line, wherever it comes from.
SECRETS: Final = (
    (re.compile(r"\bpal_[a-z]_[\w-]+"), "pal_***"),  # graph.users.tokens
    (re.compile(r"\b[0-9A-Z]{5}(?:-[0-9A-Z]{5}){3}\b"), "***"),  # graph.mail.codes
    (re.compile(r"\$argon2\w*\$\S+"), "$argon2***"),
    (re.compile(r"(?i)\b(bearer|basic) +[\w.~+/=-]+"), r"\1 ***"),
    (re.compile(r"(://[^:/@\s]*):[^@\s]*@"), r"\1:***@"),
    (re.compile(r"[\w.!#$%&'+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+"), "***@***"),
)

# These tell of every statement, frame or address at the level debug, with what is in them.
OTHERS: Final = ("aiosqlite", "alembic", "asyncio", "asyncpg", "databases", "hpack", "httpx", "uvicorn", "websockets")
OURS: Final = ("graph", "subscriptions")


# Most lines hold none of it: 0.3 µs to see that, where replacing takes 3.
SUSPICIOUS: Final = re.compile(r"(?i)pal_|\$argon2|bearer|basic|@|[0-9A-Z]{5}-")


class StandardError:
    """The same for the standard library's handlers."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class Lines:
    """Lines that are made of safe words alone, as there is one for each request: 55 µs by the way of all others."""

    def __init__(self) -> None:
        self.least = logging.INFO
        self.render: Callable[[EventDict], str] = line_of

    def tell(self, event: str, fields: Mapping[str, Any], level: int = logging.INFO) -> None:
        if level >= self.least:
            at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            named = "debug" if level == logging.DEBUG else "info"
            sys.stderr.write(self.render({"at": at, "level": named, "event": event, **fields}) + "\n")


class Handler(logging.StreamHandler[StandardError]):
    """Ours among the handlers there may be: set up twice, there is still one."""


def configure(level: str = "info", form: Form = "json") -> None:
    least = logging.getLevelNamesMapping()[level.upper()]
    common: list[Processor] = [
        with_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        with_exception,
        without_secrets,
    ]
    rendering: Processor = as_json if form == "json" else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[*common, rendering],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        # Asked each time: whoever takes the place of standard error gets what is said from then on.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = Handler(StandardError())
    handler.addFilter(without_values)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendering],
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *common],
        )
    )
    LINES.least = least
    LINES.render = line_of if form == "json" else lambda event: str(rendering(None, "info", event))
    root = logging.getLogger()
    root.handlers[:] = [*(each for each in root.handlers if not isinstance(each, Handler)), handler]
    root.setLevel(max(least, logging.INFO))
    for name in OTHERS:
        logging.getLogger(name).setLevel(max(least, logging.WARNING))
    for name in OURS:
        logging.getLogger(name).setLevel(least)


def with_request_id(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    request_id = REQUEST_ID.get()
    if request_id is not None:
        event.setdefault("request_id", request_id)
    return event


def with_exception(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else sys.exc_info()[1] if given is True else given
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(told(error))
    return event


def told(error: BaseException) -> Iterator[str]:
    """A traceback, the causes first, as Python prints it, with `described` for the messages."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from told(before)
        yield "then"
    yield from (line.rstrip("\n") for line in traceback.format_tb(error.__traceback__))
    yield described(error)
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from told(each)


def described(error: BaseException) -> str:
    """The kind of the error, and its message where that can quote nobody."""
    name = type(error).__name__
    if not isinstance(error, SPEAKING):
        return f"{name} {WITHHELD}" if error.args else name
    return f"{name}: {error}" if str(error) else name


def without_values(record: logging.LogRecord) -> bool:
    """Other people's messages are made of their arguments: of an error among these only `described` is used."""
    if isinstance(record.args, tuple):
        record.args = tuple(described(each) if isinstance(each, BaseException) else each for each in record.args)
    if record.name == "asyncio":  # its further lines show tasks, and with them what these raised
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
    return True


def without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = cleaned(value)
    return event


def cleaned(text: str) -> str:
    """The text without anything that looks like a credential or an e-mail address."""
    text = text.rstrip()
    if SUSPICIOUS.search(text) is None:
        return text
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    first = {key: event.pop(key, None) for key in ("at", "level", "event")}
    return line_of({**first, **event})


def line_of(event: Mapping[str, Any]) -> str:
    try:
        return orjson.dumps(event, default=_kind, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # a lone surrogate or a number of more than 64 bits, of somebody else's
        return json.dumps({key: _whole(value) for key, value in event.items()}, default=_kind)


def _whole(value: object) -> object:
    return value.encode(errors="backslashreplace").decode() if isinstance(value, str) else value


def _kind(value: object) -> str:
    """Of what is no plain value the kind alone: its own words may say anything."""
    return f"<{type(value).__name__}>"


LINES: Final = Lines()
