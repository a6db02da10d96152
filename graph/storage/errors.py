"""What can go wrong between us and a database.

StorageError
├── UnknownScheme      the address names no engine of ours
├── DriverMissing      the engine's driver is not installed
├── NotDurable         the server would answer before a commit is safe
├── SchemaIsNewer      the database was made by a later version
├── NotEmpty           the database has content of its own, where none may be
├── NotConnected       before `connect`, after `disconnect`, or outside of its block
├── Busy               a wait reached its time limit; nothing was done
├── TooSlow            a statement reached its time limit; it had no effect
├── ViewExpired        a read view was held too long
├── OutcomeUnknown     the connection was lost while committing
└── ForeignAwait       a work awaited something else than its rows: a defect
"""


class StorageError(Exception):
    """The root of this page's tree; the driver's own errors (constraints, syntax) pass unchanged."""


class UnknownScheme(StorageError):
    def __init__(self, scheme: str, known: list[str]) -> None:
        super().__init__(f"no database engine is called {scheme!r}; known are {', '.join(known)}")
        self.scheme = scheme


class DriverMissing(StorageError):
    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed: install palabre[{extra}]")
        self.extra = extra


class NotDurable(StorageError):
    def __init__(self, setting: str, value: str) -> None:
        super().__init__(f"the server has {setting}={value}: what it calls committed may be lost; set it to on")
        self.setting, self.value = setting, value


class SchemaIsNewer(StorageError):
    def __init__(self, found: str, known: str) -> None:
        super().__init__(f"the database is at version {found}, which this program (at {known}) does not know")
        self.found, self.known = found, known


class NotEmpty(StorageError):
    def __init__(self, table: str) -> None:
        super().__init__(f"it has content of its own, in {table}")
        self.table = table


class NotConnected(StorageError):
    pass


class Busy(StorageError):
    pass


class TooSlow(StorageError):
    pass


class ViewExpired(StorageError):
    def __init__(self, seconds: float) -> None:
        super().__init__(f"the read view was held for more than {seconds:g} s")
        self.seconds = seconds


class OutcomeUnknown(StorageError):
    """Look up by idempotency key what became of it; never just run it again."""


class ForeignAwait(StorageError):
    def __init__(self, awaited: object) -> None:
        super().__init__(f"a work awaits nothing but rows.rows(...), this one awaited {awaited!r}")
