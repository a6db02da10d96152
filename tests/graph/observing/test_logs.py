"""The program's own words: their form, and what never stands among them."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from graph.observing import logs
from graph.observing.logs import cleaned, configure, described
from graph.storage.errors import TooSlow

PASSWORD = "correct horse battery"
Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Iterator[Read]:
    """The lines since they were last read."""
    configure()
    yield lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    configure()


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


# Their form ---------------------------------------------------------------------------------------------------------


def test_a_line_is_a_json_object_that_says_when_how_grave_and_what(read: Read) -> None:
    structlog.get_logger("palabre").warning("not_ready", part="log")
    [line] = read()
    assert list(line) == ["at", "level", "event", "part"]
    assert (line["level"], line["event"], line["part"]) == ("warning", "not_ready", "log")
    assert line["at"].endswith("Z")


def test_other_libraries_speak_in_the_same_form(read: Read) -> None:
    logging.getLogger("uvicorn.error").error("Invalid %s", "request")
    logging.getLogger("subscriptions.follow").info("The log can be read again.")
    other, ours = read()
    assert (other["level"], other["event"], other["logger"]) == ("error", "Invalid request", "uvicorn.error")
    assert (ours["level"], ours["event"], ours["logger"]) == (
        "info", "The log can be read again.", "subscriptions.follow",
    )  # fmt: skip


def test_set_up_twice_it_says_all_once(read: Read) -> None:
    configure()
    logging.getLogger("uvicorn.error").error("once")
    assert len(read()) == 1


def test_less_than_the_least_is_not_said(read: Read) -> None:
    configure("error")
    structlog.get_logger("palabre").warning("no")
    logging.getLogger("subscriptions.follow").warning("no")
    logs.LINES.tell("no", {})
    assert read() == []


@pytest.mark.parametrize("name", logs.OTHERS)
def test_at_debug_too_other_libraries_tell_no_frames_and_no_statements(read: Read, name: str) -> None:
    configure("debug")
    logging.getLogger(f"{name}.any").info("SELECT 'secret'")
    logging.getLogger(f"{name}.any").debug("SELECT 'secret'")
    logging.getLogger("subscriptions.follow").debug("ours is heard")
    assert [line["event"] for line in read()] == ["ours is heard"]


def test_on_a_console_it_is_something_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    configure(form="console")
    try:
        structlog.get_logger("palabre").error("defect", exc_info=raised(ZeroDivisionError("division by zero")))
        logging.getLogger("uvicorn.error").error("as well")
        logs.LINES.tell("request", {"status": 200})
    finally:
        configure()
    said = capsys.readouterr().err
    assert "[error    ] defect" in said
    assert "ZeroDivisionError: division by zero" in said
    assert "as well" in said
    assert "status=200" in said
    assert '{"' not in said


def test_what_json_cannot_hold_makes_no_line_fail(read: Read) -> None:
    structlog.get_logger("palabre").warning("odd", value="\ud800", other=object(), number=1 << 70)
    [line] = read()
    assert (line["value"], line["other"], line["number"]) == ("\\ud800", "<object>", 1 << 70)


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TooSlow("stopped after 30 s"), "TooSlow: stopped after 30 s"),
        (sqlite3.IntegrityError("UNIQUE constraint failed: users.handle_key"),
         "IntegrityError: UNIQUE constraint failed: users.handle_key"),
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (ValueError("no number: 'hunter2'"), f"ValueError {logs.WITHHELD}"),
        (KeyError("hunter2"), f"KeyError {logs.WITHHELD}"),
        (UnicodeDecodeError("utf-8", b"hunter2", 0, 1, "bad"), f"UnicodeDecodeError {logs.WITHHELD}"),
        (ValueError(), "ValueError"),
    ],
)  # fmt: skip
def test_an_error_tells_its_message_only_where_that_quotes_nobody(error: BaseException, words: str) -> None:
    assert described(error) == words


def test_a_traceback_says_where_and_why_and_not_with_what(read: Read) -> None:
    def fails(password: str) -> None:
        try:
            int(password)
        except ValueError as error:
            raise RuntimeError(f"cannot use {password}") from error

    try:
        fails(PASSWORD)
    except RuntimeError as error:
        structlog.get_logger("palabre").error("defect", exc_info=error)
    [line] = read()
    told = line["exception"].splitlines()
    assert f"ValueError {logs.WITHHELD}" in told
    assert told[-1] == f"RuntimeError {logs.WITHHELD}"
    assert any(", in fails" in each for each in told)
    assert PASSWORD not in str(line)


def test_each_error_of_a_group_is_told(read: Read) -> None:
    group = ExceptionGroup("many", [raised(ZeroDivisionError("division by zero")), raised(KeyError("hunter2"))])
    structlog.get_logger("palabre").error("defect", exc_info=group)
    [line] = read()
    assert "ZeroDivisionError: division by zero" in line["exception"]
    assert f"KeyError {logs.WITHHELD}" in line["exception"]
    assert "hunter2" not in str(line)


def test_an_error_within_a_message_is_told_without_its_words(read: Read) -> None:
    logging.getLogger("subscriptions.session").warning("It will try again: %r", ValueError("hunter2"))
    [line] = read()
    assert line["event"] == f"It will try again: 'ValueError {logs.WITHHELD}'"


async def test_a_task_that_nobody_waited_for_is_told_without_what_it_raised(read: Read) -> None:
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    future.set_exception(ValueError("hunter2"))
    loop.default_exception_handler(
        {"message": "Future exception was never retrieved", "exception": future.exception(), "future": future}
    )
    [line] = read()
    assert line["event"] == "Future exception was never retrieved"
    assert line["exception"] == f"ValueError {logs.WITHHELD}"
    assert "hunter2" not in str(line)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("pal_t_-c__9w4is686qF32VoZbfxuy29AnIhqHr3rX", "pal_***"),
        ("Cookie: __Host-palabre-session=pal_s_uy29AnIhqHr3rX; a=b", "Cookie: __Host-palabre-session=pal_***; a=b"),
        ("the code 7Q2XM-0VB4K-9ZP3D-HT6WA is wrong", "the code *** is wrong"),
        ("greg@example.org wrote to <zoe.l'été+x@mail.example.co.uk>", "***@*** wrote to <***@***>"),
        ("postgresql://palabre:hunter2@db.internal/palabre", "postgresql://palabre:***@db.internal/palabre"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer ***"),
        ("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaA was read", "$argon2*** was read"),
        ("nothing to hide, 12:34", "nothing to hide, 12:34"),
    ],
)
def test_what_looks_like_a_credential_is_left_out_wherever_it_stands(text: str, shown: str) -> None:
    assert cleaned(text) == shown
