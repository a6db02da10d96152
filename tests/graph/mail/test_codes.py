"""One-time codes: what they look like, and in how many ways one may write them down."""

import re

import pytest

from graph.mail.codes import Code, hash_of, new_code


def test_a_code_is_four_groups_that_nothing_is_mistaken_in() -> None:
    code = new_code()
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{5}(-[0-9A-HJKMNP-TV-Z]{5}){3}", code.text)
    assert code.hash == hash_of(code.text)
    assert new_code().text != code.text


@pytest.mark.parametrize(
    "written",
    ["01abc-defgh-jkmnp-qrstv", "01ABCDEFGHJKMNPQRSTV", " OIABC DEFGH JKMNP QRSTV\n", "olabc-defgh-jkmnp-qrstv"],
)
def test_a_code_may_be_written_down_in_many_ways(written: str) -> None:
    assert hash_of(written) == hash_of("01ABC-DEFGH-JKMNP-QRSTV")


@pytest.mark.parametrize("written", ["", "-", "\ud800", "x" * 10_000])
def test_what_is_no_code_has_a_hash_that_none_has(written: str) -> None:
    assert hash_of(written) != hash_of("01ABC-DEFGH-JKMNP-QRSTV")
    assert len(hash_of(written)) == 32


def test_a_printed_code_does_not_show_itself() -> None:
    assert "SECRET" not in repr(Code("SECRET", b""))
