"""Every setting of Palabre: its name, its unit, its default, and what it may be.

A setting is an environment variable that begins with `PALABRE_`, or an option of the command line, which wins.  The
environment is handed in, never read here: what is not on this page has no influence.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from email.utils import parseaddr
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "PALABRE_"
# Read by the tests, the build and the scripts around them, not by the program.
FOREIGN_PREFIXES = ("PALABRE_TEST_", "PALABRE_REQUIRE_", "PALABRE_SHARED_")

SECRET = ("database_url", "mail_url")  # they may hold a password: never quoted, shown masked
Network = IPv4Network | IPv6Network

DATABASE_SCHEMES = ("sqlite", "sqlite+aiosqlite", "postgresql")


@dataclass(frozen=True, slots=True)
class WrongSetting:
    """One setting that cannot be used.  Says nothing that is secret: it is made to be printed."""

    name: str  # as it was given: PALABRE_PORT, or --port
    reason: str  # what is wrong with it, and what is allowed

    def __str__(self) -> str:
        return f"{self.name} {self.reason}"


class WrongSettings(ValueError):
    """All the settings that cannot be used, so that one start tells them all; printed one per line."""

    def __init__(self, wrong: tuple[WrongSetting, ...]) -> None:
        super().__init__("\n".join(map(str, wrong)))
        self.wrong = wrong


def masked(url: str) -> str:
    """The address of a server without its password, for people and logs."""
    # Up to the last @: a password that was not percent-encoded may hold one, or a slash.
    without = re.sub(r"(://[^:/@]*):.*@", r"\1:***@", url)
    return re.sub(r"(password=)[^&#]*", r"\1***", without)


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is not a number up to 65535
    except ValueError:
        raise ValueError("is not a well-formed address") from None  # the parser's own words may quote a password
    return parts


def _database(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in DATABASE_SCHEMES:
        raise ValueError(f"begins with {parts.scheme}://" if "://" in url else "is not an address")
    if parts.scheme == "postgresql":
        return url
    if not url.startswith(f"{parts.scheme}:///") or not parts.path.strip("/"):
        raise ValueError("names no file")
    if ":memory:" in url:
        # Each connection would have a database of its own.
        raise ValueError("is in memory, where the connections of one process cannot meet")
    return url


def _address(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is not an absolute http or https address")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("has more than a scheme, a host, a port and a path")
    return url.rstrip("/")


def _origin(origin: str) -> str:
    address = _address(origin).lower()
    parts = urlsplit(address)
    if parts.path:
        raise ValueError("has more than a scheme, a host and a port")
    # As browsers send it: they leave out the port that the scheme implies.
    return address.removesuffix(":443" if parts.scheme == "https" else ":80")


def _mail_server(url: str) -> str:
    parts = _split(url)
    if parts.scheme not in ("smtp", "smtps"):
        raise ValueError("is not an smtp or smtps address")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment or url.count("@") > 1:
        raise ValueError("has more or less than a user, a password, a host and a port; an @ in them is written %40")
    if (parts.username is None) != (parts.password is None):
        raise ValueError("has a user without a password, or a password without a user")
    return url


def _mail_sender(sender: str) -> str:
    name, address = parseaddr(sender)
    if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", address) or sender not in (address, f"{name} <{address}>"):
        raise ValueError("is neither an address nor a name with an address in angle brackets")
    if not name.isprintable():
        raise ValueError("has characters that cannot be shown")
    return sender


def _link(template: str) -> str:
    if template.count("{code}") != 1:
        raise ValueError("does not have {code} once")
    parts = _split(template)
    if parts.scheme not in ("http", "https") or not parts.hostname or not template.isprintable() or " " in template:
        raise ValueError("is not an absolute http or https address")
    return template


def _site(url: str) -> str:
    address = _address(url)
    if address.endswith("/graphql"):
        raise ValueError("is the address of the API; leave out /graphql at its end")
    return address


def _network(value: object) -> Network:
    try:
        return ip_network(str(value))
    except ValueError:
        raise ValueError("is neither an IP address nor a network like 10.0.0.0/8") from None


def _host(host: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", host):
        raise ValueError("is neither an IP address nor a host name")
    return host


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Host = Annotated[str, AfterValidator(_host)]
DatabaseUrl = Annotated[str, AfterValidator(_database)]
MailServer = Annotated[str, AfterValidator(_mail_server)]
MailSender = Annotated[str, AfterValidator(_mail_sender)]
Link = Annotated[str, AfterValidator(_link)]
Address = Annotated[str, AfterValidator(_address)]
Site = Annotated[str, AfterValidator(_site)]
Networks = Annotated[tuple[Annotated[Network, BeforeValidator(_network)], ...], BeforeValidator(_listed)]
Origins = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_listed)]


class Settings(BaseSettings):
    """What the operator decides.  Each description says what is allowed, in the words that refusals use."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    database_url: DatabaseUrl = Field(
        "sqlite:///palabre.db",
        description="where everything is kept: sqlite:///path/to/file.db or postgresql://user:password@host:port/name",
    )
    sqlite_readers: int = Field(4, ge=1, le=64, description="connections that read a SQLite file, 1 to 64")
    postgres_connections: int = Field(
        10, ge=2, le=1_000, description="connections to PostgreSQL that one process may open, 2 to 1000"
    )
    read_view_seconds: float = Field(
        10, gt=0, le=600, description="how long one operation may hold its view of the database, up to 600 seconds"
    )

    host: Host = Field("127.0.0.1", description="the address to listen on, an IP address or a host name")
    port: int = Field(8000, ge=1, le=65_535, description="the TCP port to listen on, 1 to 65535")
    public_url: Site | None = Field(
        None,
        description="the address under which people reach this server, like https://talk.example.org or "
        "https://example.org/talk",
    )
    trusted_proxies: Networks = Field(
        (),
        description="proxies whose X-Forwarded-For, -Proto and -Host are believed: their addresses or networks, like "
        "127.0.0.1 or 10.0.0.0/8, separated by commas",
    )
    allowed_origins: Origins = Field(
        (),
        description="other sites whose pages may call this server, like https://app.example.org, separated by commas",
    )
    production: bool = Field(
        False, description="true or false, whether strangers reach this server, so that it tells no more than it must"
    )
    graphiql: Literal["auto", "on", "off"] = Field(
        "auto",
        description="whether the schema may be explored, by the page at /graphql, introspection and suggestions: on, "
        "off, or auto, which is on unless production is true",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the least of the messages to log, one of debug, info, warning, error"
    )
    log_format: Literal["json", "console"] = Field(
        "json", description="how lines of the log look, json for programs or console for people who develop"
    )
    metrics_host: Host = Field(
        "127.0.0.1", description="the address of the port for Prometheus, an IP address or a host name"
    )
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65_535,
        description="the TCP port where Prometheus may read /metrics, 1 to 65535; unless given none",
    )
    otel_endpoint: Address | None = Field(
        None,
        description="a collector that speaks OTLP over HTTP, for traces, like http://127.0.0.1:4318; without one "
        "there are none",
    )
    stop_delay_seconds: float = Field(
        0, ge=0, le=300, description="seconds for which all is still served after being told to stop, 0 to 300"
    )
    stop_seconds: int = Field(
        5, ge=1, le=300, description="seconds that requests under way are then given to come to their end, 1 to 300"
    )

    session_days: int = Field(30, ge=1, le=3_650, description="days until one has to sign in again, 1 to 3650")

    mail_url: MailServer | None = Field(
        None,
        description="the server that mail is sent through, like smtp://user:password@host:587 or smtps://host; "
        "without one, no mail is sent",
    )
    mail_from: MailSender | None = Field(
        None, description="whom mail is from, like noreply@example.org or Palabre <noreply@example.org>"
    )
    mail_reset_link: Link | None = Field(
        None,
        description="where a front end asks for a new password, like https://app.example.org/reset?code={code}; "
        "without it, mails hold the code alone",
    )
    mail_confirm_link: Link | None = Field(
        None, description="the same for confirming an address, like https://app.example.org/confirm?code={code}"
    )

    body_bytes_limit: int = Field(
        1_048_576, ge=1_024, le=1 << 30, description="bytes of one HTTP request, 1024 to 1073741824"
    )
    body_seconds: float = Field(
        30, gt=0, le=3_600, description="seconds within which the body of one HTTP request must come, up to 3600"
    )
    operation_bytes: int = Field(
        100_000, ge=1_000, le=10_000_000, description="bytes of one GraphQL document, 1000 to 10000000"
    )
    operation_tokens: int = Field(
        5_000, ge=100, le=1_000_000, description="tokens of one GraphQL document, 100 to 1000000"
    )
    operation_depth: int = Field(30, ge=5, le=200, description="levels of one GraphQL document, 5 to 200")

    live_heartbeat_seconds: float = Field(
        25, ge=1, le=3_600, description="seconds between the signs of life of a silent live stream, 1 to 3600"
    )
    log_events_per_topic: int = Field(
        10_000, ge=100, le=100_000_000, description="events kept per topic for clients that come back, 100 to 100000000"
    )
    log_days: int = Field(30, ge=1, le=3_650, description="days that events are kept, 1 to 3650")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # `settings_from` is handed the environment, and refuses what it does not know in it

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, masked(value) if name in SECRET and value is not None else value


def variable(field: str) -> str:
    """`port` is PALABRE_PORT in the environment."""
    return PREFIX + field.upper()


def option(field: str) -> str:
    """`session_days` is --session-days on the command line."""
    return "--" + field.replace("_", "-")


FIELD_OF = {variable(field): field for field in Settings.model_fields}


def settings_from(env: Mapping[str, str], overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings in `env`; `overrides` win, by field name, except where they are None.

    Raises WrongSettings, which lists every variable that is unknown or cannot be used.
    """
    chosen = {field: value for field, value in (overrides or {}).items() if value is not None}
    given = {field: env[name] for name, field in FIELD_OF.items() if name in env} | chosen
    wrong = [*_unknown(env)]
    try:
        settings = Settings(**given)
    except ValidationError as error:
        wrong += [_wrong(details, chosen) for details in error.errors()]
    else:
        wrong += _apart(settings)
    if wrong:
        raise WrongSettings(tuple(wrong))
    return settings


def _apart(settings: Settings) -> Iterator[WrongSetting]:
    """Of what is useful only together, the one half that is missing."""
    for given, missing in (("mail_url", "mail_from"), ("mail_from", "mail_url")):
        if getattr(settings, given) is not None and getattr(settings, missing) is None:
            description = Settings.model_fields[missing].description
            yield WrongSetting(variable(missing), f"is missing beside {variable(given)}.  Expected: {description}.")


def _unknown(env: Mapping[str, str]) -> Iterator[WrongSetting]:
    for name in sorted(env):
        if name.upper().startswith(PREFIX) and name not in FIELD_OF and not name.startswith(FOREIGN_PREFIXES):
            nearest = get_close_matches(name.upper(), FIELD_OF, n=1, cutoff=0)[0]
            yield WrongSetting(name, f"is not a setting.  The nearest one is {nearest}.")


def _wrong(details: ErrorDetails, chosen: Mapping[str, Any]) -> WrongSetting:
    field = str(details["loc"][0])
    name = option(field) if field in chosen else variable(field)
    known = Settings.model_fields.get(field)
    if known is None:
        return WrongSetting(name, "is not a setting.")
    return WrongSetting(name, f"{_complaint(field, details)}.  Expected: {known.description}.")


def _complaint(field: str, details: ErrorDetails) -> str:
    """What is wrong, quoting what was given unless it may hold a password."""
    if details["input"] == "":
        return "is empty"
    given = "" if field in SECRET else f"({masked(repr(details['input']))}) "
    if details["type"] == "value_error":
        return given + details["msg"].removeprefix("Value error, ")
    return given + details["msg"].replace("Input should", "should").replace("String should", "should")
