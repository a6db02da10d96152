"""Backups of a PostgreSQL database, by its own tools: `pg_dump` writes them, `pg_restore` brings them back.

What leads to the database goes to them through their environment: arguments can be seen by everybody on the machine.
Like every backup it has no epoch, so that whoever opens what was restored begins a history of its own.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from graph.keeping.files import placed
from graph.storage.database import parse
from graph.storage.migrate import clear, migrate, refuse_newer

ALIKE: Final = ("--no-owner", "--no-privileges", "--no-password")  # it is restored for whoever asks, where they ask

# What may stand in the query of an address, as libpq's environment calls it.
_VARIABLES: Final[Mapping[str, str]] = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
    "dbname": "PGDATABASE",
    "passfile": "PGPASSFILE",
    "sslmode": "PGSSLMODE",
    "ssl": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
}


class ToolMissing(Exception):
    def __init__(self, tool: str) -> None:
        super().__init__(tool)
        self.tool = tool


class ToolFailed(Exception):
    """The message is the tool's."""


class ForeignDump(Exception):
    """It is none of a database of Palabre."""


def back_up(url: str, file: Path, env: Mapping[str, str]) -> None:
    """Raises AlreadyThere, ToolMissing or ToolFailed; there is then no file."""
    with placed(file) as beside:
        _run(["pg_dump", "--format=custom", "--exclude-table-data=epochs", *ALIKE, f"--file={beside}"], url, env)
        schema_of(beside, url, env)


def restore(file: Path, url: str, env: Mapping[str, str]) -> None:
    """Into a database without content, brought to this program's schema.

    Raises ToolMissing, ToolFailed, ForeignDump, SchemaIsNewer or NotEmpty; nothing was then brought in.
    """
    refuse_newer(schema_of(file, url, env))
    clear(url)
    database = _address(url).get("PGDATABASE", "")
    _run(["pg_restore", "--exit-on-error", "--single-transaction", *ALIKE, f"--dbname={database}", str(file)], url, env)
    migrate(url)


def schema_of(file: Path, url: str, env: Mapping[str, str]) -> str:
    """The version of the database in a dump, which so is shown to be readable."""
    text = _run(["pg_restore", "--data-only", "--table=alembic_version", "--file=-", str(file)], url, env)
    found = re.search(r"^COPY \S*alembic_version .*;\n(\S+)\n\\\.$", text, re.MULTILINE)
    if found is None:
        raise ForeignDump
    return found[1]


def _run(command: Sequence[str], url: str, env: Mapping[str, str]) -> str:
    """What the tool has written."""
    path = shutil.which(command[0], path=env.get("PATH"))
    if path is None:
        raise ToolMissing(command[0])
    done = subprocess.run(
        [path, *command[1:]], env={**env, **_address(url)}, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    if done.returncode:
        raise ToolFailed(" ".join(done.stderr.decode(errors="replace").split()))
    return done.stdout.decode(errors="replace")


def _address(url: str) -> dict[str, str]:
    """The parts of an address as libpq's environment names them."""
    _, address, _ = parse(url)
    parts = urlsplit(address)
    given = {
        "PGHOST": parts.hostname,
        "PGPORT": parts.port and str(parts.port),
        "PGUSER": parts.username and unquote(parts.username),
        "PGPASSWORD": parts.password and unquote(parts.password),
        "PGDATABASE": unquote(parts.path[1:]),
    }
    for name, value in parse_qsl(parts.query):
        if name in _VARIABLES:
            given[_VARIABLES[name]] = _SSL_MODES.get(value, value) if name == "ssl" else value
    return {name: value for name, value in given.items() if value}


_SSL_MODES: Final[Mapping[str, str]] = {"true": "require", "false": "disable"}  # as asyncpg has them, and libpq
