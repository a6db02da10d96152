"""A look whether all is well: every check in turn, a line for each, and an exit code for whoever watches."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

from graph.commands.console import say
from graph.commands.databases import check_file, file_of
from graph.commands.failures import Failure, worded
from graph.keeping import checks
from graph.keeping.checks import Check, State
from graph.keeping.looking import Asked, connected_to, looked_into
from graph.settings import Settings
from graph.storage.database import parse
from graph.storage.limits import Limits
from graph.web.build import BUILT


def run(settings: Settings, *, as_json: bool, mail: bool) -> bool:
    """Print what was seen; gives whether nothing failed."""
    found = asyncio.run(examined(settings, mail=mail))
    if as_json:
        say(json.dumps([asdict(check) for check in found], indent=2, ensure_ascii=False))
    else:
        for check in found:
            say(f"{check.state:<4}  {check.name:<10}  {check.seen}")
            if check.advice is not None:
                say(f"{'':18}{check.advice}.")
    return all(check.state is not State.FAIL for check in found)


async def examined(settings: Settings, *, mail: bool = False) -> list[Check]:
    found = [checks.settings_check(settings)]
    found += [check async for check in of_database(settings)]
    found.append(await asyncio.to_thread(checks.mail_check, settings, connect=mail))
    found.append(checks.pages_check(settings, BUILT))
    return found


async def of_database(settings: Settings) -> AsyncIterator[Check]:
    """All that needs the database; where it cannot be reached, that alone."""
    url, file = settings.database_url, file_of(settings.database_url)
    try:
        with worded(url):
            if file is None:
                async with connected_to(url) as asked:
                    async for check in of_content(asked, settings, None):
                        yield check
            else:
                refuse_absent(file)
                with looked_into(file) as asked:
                    async for check in of_content(asked, settings, file):
                        yield check
    except Failure as failure:
        yield Check("database", State.FAIL, str(failure), "Mend that, and look again")


def refuse_absent(file: Path) -> None:
    """Raises Failure."""
    check_file(file)
    if not file.exists():
        raise Failure(f"There is no database {file}.  `palabre serve` or `palabre migrate` makes it.")


async def of_content(asked: Asked, settings: Settings, file: Path | None) -> AsyncIterator[Check]:
    _, url, given = parse(settings.database_url)
    yield await checks.version_check(asked)
    yield await checks.durability_check(asked, Limits(**given))
    version = await version_of(asked)
    migrations = checks.migrations_check(version)
    yield migrations
    yield await checks.integrity_check(asked)
    if migrations.state is State.OK:  # the questions are those of this version's tables
        yield await checks.counters_check(asked)
        yield await checks.clock_check(asked)
    yield await checks.disk_check(asked, file)
    yield await checks.doorbell_check(url, file)


async def version_of(asked: Asked) -> str | None:
    known = "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    if asked.engine == "postgresql":
        known = "SELECT 1 FROM pg_class WHERE relname = 'alembic_version'"
    if not await asked.rows(known):
        return None
    found = await asked.rows("SELECT version_num FROM alembic_version")
    return str(found[0][0]) if found else None
