"""What `palabre doctor` looks at: each check says what it saw, how bad that is, and what to do.  None changes anything.

A check tells no secret: addresses are shown without their passwords.
"""

import asyncio
import importlib.util
import shutil
import smtplib
import sqlite3
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final
from urllib.parse import urlsplit

from graph.http.cookies import cookie_at
from graph.keeping.counters import COUNTERS, Counter
from graph.keeping.looking import Asked
from graph.settings import Settings, masked
from graph.storage.errors import SchemaIsNewer
from graph.storage.limits import Limits
from graph.storage.migrate import newest_version, refuse_newer
from subscriptions.broker import Broker
from subscriptions.brokers.sqlite import SqliteBroker

OLDEST_SQLITE: Final = (3, 38)  # the arrows into JSON that our statements use
OLDEST_POSTGRESQL: Final = 130_000  # as the server tells it: 13.0
FREE_BYTES: Final = 200 * 2**20  # under this a busy day may fill the disk
SKEW_SECONDS: Final = 2.0  # between our clock and the database's
WRONG_SECONDS: Final = 60.0
BELL_SECONDS: Final = 5.0
SMTP_SECONDS: Final = 10.0
SANE_AFTER: Final = 1_735_689_600.0  # 2025-01-01: this program is younger
FAULTS_TOLD: Final = 3


class State(StrEnum):
    OK = "OK"
    WARN = "WARN"  # it works, and may not always
    FAIL = "FAIL"  # it does not work, or data are at risk


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    state: State
    seen: str
    advice: str | None = None  # what to do; None where all is well


def ok(name: str, seen: str) -> Check:
    return Check(name, State.OK, seen)


# Settings ---------------------------------------------------------------------------------------------------------


def settings_check(settings: Settings) -> Check:
    """Whether what is said of the outside fits together."""
    name, address = "settings", settings.public_url
    if settings.production and address is None:
        return Check(
            name,
            State.FAIL,
            "production is on, and no public address is given",
            "Say where people reach it: --public-url",
        )
    if settings.production and address is not None and not address.startswith("https://"):
        return Check(
            name,
            State.FAIL,
            f"production is on, and people reach it by plain http ({address}): passwords and tokens can be read on the "
            f"way{'' if cookie_at(address) else ', and browsers get no session cookie'}",
            "Put a proxy with https before it, and give its address with --public-url",
        )
    if not settings.production and address is not None and address.startswith("https://"):
        return Check(
            name, State.WARN, f"{address} is for everybody, and production is off: errors tell more", "Add --production"
        )
    return ok(
        name, f"production is {'on' if settings.production else 'off'}, people reach it at {address or 'localhost'}"
    )


def pages_check(settings: Settings, built: Path) -> Check:
    name = "pages"
    wanted = settings.graphiql == "on" or (settings.graphiql == "auto" and not settings.production)
    if not wanted:
        return ok(name, "GraphiQL is off")
    if not built.is_dir() or not any(built.iterdir()):
        return Check(name, State.WARN, "GraphiQL is on, and is not built", "make pages, or install a released wheel")
    return ok(name, "GraphiQL is built")


# The database -----------------------------------------------------------------------------------------------------


async def version_check(asked: Asked) -> Check:
    name = "database"
    if asked.engine == "sqlite":
        seen = f"SQLite {sqlite3.sqlite_version}"
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            return Check(name, State.FAIL, seen, "Use a Python whose SQLite is 3.38 or newer")
        return ok(name, seen)
    [(number, text)] = await asked.rows(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')"
    )
    if number < OLDEST_POSTGRESQL:
        return Check(name, State.FAIL, f"PostgreSQL {text}", "Use PostgreSQL 13 or newer")
    return ok(name, f"PostgreSQL {text}")


async def durability_check(asked: Asked, limits: Limits) -> Check:
    """Whether what is acknowledged would survive the power going out."""
    name = "durability"
    wanted = {"fsync": ("on",), "full_page_writes": ("on",), "synchronous_commit": ("on", "remote_apply")}
    if asked.engine == "sqlite":
        [(mode,)] = await asked.rows("PRAGMA journal_mode")
        found = {"journal_mode": str(mode), "synchronous": limits.synchronous.lower()}
        wanted = {"journal_mode": ("wal", "delete"), "synchronous": ("full", "extra")}
    else:
        found = {setting: str((await asked.rows(f"SHOW {setting}"))[0][0]) for setting in wanted}
    seen = ", ".join(f"{setting}={value}" for setting, value in found.items())
    wrong = [setting for setting, value in found.items() if value not in wanted[setting]]
    if wrong:
        advice = (
            f"Set {wrong[0]} to {wanted[wrong[0]][0].upper() if wrong[0] == 'synchronous' else wanted[wrong[0]][0]}"
        )
        return Check(name, State.FAIL, f"{seen}: what was acknowledged may be lost", advice)
    return ok(name, seen)


def migrations_check(found: str | None) -> Check:
    name, newest = "migrations", newest_version()
    if found is None:
        return Check(name, State.FAIL, "the database was not made by Palabre yet", "palabre migrate")
    try:
        refuse_newer(found)
    except SchemaIsNewer:
        advice = "Use that Palabre, or a newer one"
        return Check(
            name, State.FAIL, f"the database is at {found}, which a later Palabre made; this one is at {newest}", advice
        )
    if found != newest:
        advice = "palabre backup, then palabre migrate (palabre serve does it too)"
        return Check(name, State.WARN, f"the database is at {found}, this Palabre at {newest}", advice)
    return ok(name, f"the database is at {found}, as this Palabre")


async def integrity_check(asked: Asked) -> Check:
    """Of the file, by SQLite's own reading.  PostgreSQL has tools of its own."""
    name = "integrity"
    if asked.engine != "sqlite":
        return ok(name, "kept by PostgreSQL")
    advice = "Stop the server, keep the file, and restore the last backup: palabre restore"
    try:
        faults = [str(fault) for (fault,) in await asked.rows(f"PRAGMA quick_check({FAULTS_TOLD})")]
    except sqlite3.DatabaseError as error:
        faults = [str(error)]
    if faults != ["ok"]:
        return Check(name, State.FAIL, f"SQLite finds the file damaged: {'; '.join(faults)}", advice)
    orphans = await asked.rows(f"SELECT * FROM pragma_foreign_key_check LIMIT {FAULTS_TOLD}")
    if orphans:
        rows = ", ".join(f"{table} {key} (to {target})" for table, key, target, _ in orphans)
        return Check(name, State.FAIL, f"rows refer to what is not there: {rows}", advice)
    return ok(name, "the file is whole, and every reference leads somewhere")


async def counters_check(asked: Asked, counters: Sequence[Counter] = COUNTERS) -> Check:
    """What is counted in the transaction that changes it, counted anew in a sample."""
    wrong: list[str] = []
    looked = 0
    for counter in counters:
        found = await asked.rows(counter.question)
        looked += len(found)
        wrong += [
            f"{counter.column} of {counter.table} {key} is {stored} and should be {counted}"
            for key, stored, counted in found
            if stored != counted
        ]
    if wrong:
        told = "; ".join(wrong[:FAULTS_TOLD]) + (
            f"; and {len(wrong) - FAULTS_TOLD} more" if len(wrong) > FAULTS_TOLD else ""
        )
        return Check(
            "counters", State.FAIL, told, "Was it changed by hand?  Otherwise this is a defect: please report it"
        )
    return ok("counters", f"{looked} counted anew, none is wrong")


async def disk_check(asked: Asked, file: Path | None) -> Check:
    name = "disk"
    if file is None:
        [(size,)] = await asked.rows("SELECT pg_database_size(current_database())")
        return ok(name, f"the database takes {_told(size)}; what the server has left cannot be seen from here")
    size, free = _room(file)
    seen = f"the database takes {_told(size)}, {_told(free)} are free"
    if free < FREE_BYTES:
        return Check(name, State.FAIL, seen, "Make room: without it nothing can be written")
    if free < size:
        return Check(name, State.WARN, seen, "Make room: a backup beside the database would not fit")
    return ok(name, seen)


def _room(file: Path) -> tuple[int, int]:
    """Bytes of the database, and bytes free beside it."""
    parts = (file, file.with_name(f"{file.name}-wal"))
    return sum(each.stat().st_size for each in parts if each.exists()), shutil.disk_usage(_folder(file)).free


def _folder(file: Path) -> Path:
    return file.absolute().parent


def _told(count: float) -> str:
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


async def clock_check(asked: Asked, now: Callable[[], float] = time.time) -> Check:
    """Ours, against the years, itself, the database's and the newest rows."""
    name, advice = "clock", "Let the machine set its clock by the network (NTP)"
    if now() < SANE_AFTER:
        return Check(name, State.FAIL, f"it is {_moment(now())}, they say", advice)
    began, began_ours = time.monotonic(), now()
    skew = await _skew(asked, now)
    drift = abs((now() - began_ours) - (time.monotonic() - began))
    [(newest,)] = await asked.rows("SELECT max(last_activity_at) FROM posts")
    ahead = (newest or 0) / 1_000_000 - now()
    if abs(skew) > SKEW_SECONDS:
        state = State.FAIL if abs(skew) > WRONG_SECONDS else State.WARN
        return Check(name, state, f"{abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} the database's", advice)
    if ahead > WRONG_SECONDS:
        return Check(
            name, State.FAIL, f"it is {_moment(now())}, and the newest answer is of {ahead:.0f} s later", advice
        )
    if drift > SKEW_SECONDS:
        return Check(name, State.WARN, f"it was set by {drift:.1f} s while it was looked at", advice)
    against = f", {abs(skew) * 1000:.0f} ms from the database's" if asked.engine == "postgresql" else ""
    return ok(name, f"{_moment(now())}{against}")


async def _skew(asked: Asked, now: Callable[[], float]) -> float:
    """Seconds by which the database's clock is ahead of ours; on one machine there is one clock."""
    if asked.engine == "sqlite":
        return 0.0
    before = now()
    [(theirs,)] = await asked.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
    return float(theirs) - (before + now()) / 2


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


# The doorbell -----------------------------------------------------------------------------------------------------


async def doorbell_check(url: str, file: Path | None) -> Check:
    """A bell that one connection rings, and another hears: really."""
    name = "doorbell"
    try:
        async with asyncio.timeout(2 * BELL_SECONDS):
            heard_after = await (_rung_beside(file) if file is not None else _rung_through(url))
    except (TimeoutError, OSError, sqlite3.Error) as error:
        seen = f"a bell was rung, and not heard within {BELL_SECONDS:g} s ({type(error).__name__})"
        return Check(name, State.WARN, seen, _BELL_ADVICE)
    return ok(name, f"heard after {heard_after * 1000:.0f} ms")


_BELL_ADVICE: Final = (
    "Followers then wait for the look that is taken every second.  SQLite needs a local disk, PostgreSQL a direct "
    "connection, or a pooler that passes LISTEN on"
)


async def _rung_beside(file: Path) -> float:
    """On the database's own disk, in a file for the purpose: a commit to the database would change it."""
    with TemporaryDirectory(prefix=".palabre-doctor-", dir=_folder(file)) as folder:
        bell = Path(folder) / "bell.db"
        with closing(sqlite3.connect(bell, isolation_level=None)) as ringing:
            ringing.execute("PRAGMA journal_mode = WAL")
            ringing.execute("CREATE TABLE rung (at REAL)")
            return await _heard(SqliteBroker(bell), lambda: ringing.execute("INSERT INTO rung VALUES (0)"))


async def _rung_through(url: str) -> float:
    from graph.storage.postgres import split
    from subscriptions.brokers.postgres import PostgresBroker  # its driver is an extra

    ringing = PostgresBroker(split(url)[0])
    await ringing.start()
    try:
        return await _heard(PostgresBroker(split(url)[0]), lambda: ringing.ring({"doctor"}))
    finally:
        await ringing.stop()


async def _heard(hearing: Broker, ring: Callable[[], object]) -> float:
    """Seconds."""
    heard = asyncio.Event()
    await hearing.start()
    silence = hearing.listen(lambda topics: heard.set())
    try:
        await asyncio.wait_for(heard.wait(), BELL_SECONDS)  # that it has begun to listen is told as a ring
        heard.clear()
        began = time.monotonic()
        ring()
        await asyncio.wait_for(heard.wait(), BELL_SECONDS)
        return time.monotonic() - began
    finally:
        silence()
        await hearing.stop()


# Mail -------------------------------------------------------------------------------------------------------------


def mail_check(settings: Settings, *, connect: bool) -> Check:
    name, url = "mail", settings.mail_url
    if url is None:
        if settings.production:
            return Check(
                name, State.WARN, "no mail is sent: who forgets a password needs you", "Set --mail-url and --mail-from"
            )
        return ok(name, "no mail is sent")
    if importlib.util.find_spec("aiosmtplib") is None:
        return Check(name, State.FAIL, "what mail is sent with is not installed", "pip install 'palabre[mail]'")
    if not connect:
        return ok(name, f"goes through {masked(url)}; not tried without --mail")
    try:
        return ok(name, f"{masked(url)} says {_greeted(url)}")
    except (OSError, smtplib.SMTPException) as error:
        return Check(
            name, State.FAIL, f"{masked(url)} does not answer as a mail server: {error}", "Is --mail-url right?"
        )


def _greeted(url: str) -> str:
    """The server's answer to EHLO; nobody signs in, and nothing is sent."""
    parts = urlsplit(url)
    assert parts.hostname is not None, "the settings let no such address through"
    if parts.scheme == "smtps":
        tls = ssl.create_default_context()
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            parts.hostname, parts.port or 465, timeout=SMTP_SECONDS, context=tls
        )
    else:
        port = parts.port or (587 if parts.username else 25)
        connection = smtplib.SMTP(parts.hostname, port, timeout=SMTP_SECONDS)
    with connection:
        code, text = connection.ehlo()
    if code != 250:
        raise smtplib.SMTPHeloError(code, text)
    return text.decode(errors="replace").splitlines()[0]
