"""Files that are there whole or not at all: written beside their place, made safe on the disk, then named."""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


class AlreadyThere(Exception):
    """Something stands where the file should go; it is left as it is."""


@contextlib.contextmanager
def placed(file: Path) -> Iterator[Path]:
    """A path to write to, beside `file`, which gets that name when the block ends well; else nothing is left.

    Only its owner may read it.  Raises AlreadyThere, at the beginning and at the end.
    """
    _refuse(file)
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        yield beside
        flush(beside)
        _refuse(file)
        beside.rename(file)
        flush(file.absolute().parent)
    finally:
        beside.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """What was written to a file, or which names a directory holds, would survive the power going out."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _refuse(file: Path) -> None:
    if file.exists() or file.is_symlink():
        raise AlreadyThere(file)
