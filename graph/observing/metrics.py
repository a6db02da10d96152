"""The process in numbers, for Prometheus: what is counted while it works, and how it is shown to who asks.

No label has more values than are listed in the code: names of operations, people and posts are the clients', so there
is no number of theirs here.  The numbers have a port of their own, on loopback unless one says otherwise: they are not
for those who come through the front door.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR, CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from graph.context import Services
from graph.observing.health import Health
from graph.observing.histogram import Histogram
from graph.observing.observed import Numbers
from graph.storage.migrate import newest_version
from graph.users import passwords
from subscriptions.follow import Tail
from subscriptions.meter import Meter


@dataclass(frozen=True, eq=False)  # registries keep collectors by identity
class Shown(Collector):
    """All numbers of a process, as they are when somebody asks."""

    numbers: Numbers
    meter: Meter
    tail: Tail
    services: Services
    health: Health

    def collect(self) -> Iterator[Metric]:
        yield self._build()
        yield gauge("palabre_stopping", "Whether it was told to stop: 0 or 1.", self.health.stopping)
        yield from self._requests()
        yield from self._live()
        yield from self._log()
        yield from self._database()
        yield histogram("palabre_loop_delay_seconds", "How late the event loop was.", self.numbers.loop_delay)
        yield gauge(
            "palabre_passwords_waiting", "Passwords that wait to be hashed or compared.", passwords.BENCH.waiting
        )

    def _build(self) -> Metric:
        about = {
            "version": installed_version(),
            "schema": newest_version(),
            "database": self.services.storage.engine,
        }
        return InfoMetricFamily("palabre_build", "What runs here.", about)

    def _requests(self) -> Iterator[Metric]:
        shown = HistogramMetricFamily(
            "palabre_request_duration_seconds",
            "Requests over HTTP, and queries and mutations over sockets; planned: whether without Strawberry.",
            labels=("transport", "kind", "status", "planned"),
        )
        for (transport, kind, status, planned), durations in self.numbers.requests.items():
            buckets, total = cumulated(durations)
            shown.add_metric((transport, kind, status, str(planned).lower()), buckets, total)
        yield shown
        yield counted("palabre_refused", "Errors that operations were answered with.", "code", self.numbers.refused)
        yield counted(
            "palabre_subscriptions_ended", "Subscriptions that are over.", "outcome", self.numbers.subscriptions
        )

    def _live(self) -> Iterator[Metric]:
        meter = self.meter
        yield gauge("palabre_sockets", "Open sockets.", self.numbers.sockets)
        yield gauge("palabre_subscriptions", "Streams being delivered.", meter.streams)
        yield counter("palabre_frames_made", "Frames executed.", meter.frames_made)
        yield counter(
            "palabre_frames_asked", "Frames that streams asked for; asked less made were shared.", meter.frames_asked
        )
        yield counter("palabre_frames_sent", "Frames of events sent to clients.", meter.frames_sent)

    def _log(self) -> Iterator[Metric]:
        meter = self.meter
        yield gauge("palabre_log_unread_seconds", "Since the log was last read.", self.tail.unread_seconds)
        yield gauge(
            "palabre_log_behind_positions", "Entries that the last look left for the next.", meter.behind_positions
        )
        yield counter("palabre_log_looks", "Looks at the log.", meter.looks)
        yield counter("palabre_log_polls", "Looks at the log that no doorbell asked for.", meter.polls)
        yield counter("palabre_log_entries", "Entries read from the log as they came.", meter.entries)
        yield counter("palabre_doorbell_rings", "Rings of the doorbell.", meter.rings)
        yield counter(
            "palabre_streams_fallen_behind", "Times that a stream was too slow for the log.", meter.fallen_behind
        )

    def _database(self) -> Iterator[Metric]:
        in_use = GaugeMetricFamily("palabre_connections_in_use", "Database connections in use.", labels=("pool",))
        size = GaugeMetricFamily("palabre_connections", "Database connections there may be.", labels=("pool",))
        waits = HistogramMetricFamily(
            "palabre_connection_wait_seconds", "Waits for a connection, where none was free.", labels=("pool",)
        )
        for slots in self.services.storage.slots:
            pool = slots.name.rpartition(" ")[2]
            in_use.add_metric((pool,), slots.size - slots.idle)
            size.add_metric((pool,), slots.size)
            waits.add_metric((pool,), *cumulated(slots.waits))
        yield from (in_use, size, waits)
        changes = self.services.changes
        yield histogram("palabre_group_changes", "Changes in one transaction.", changes.groups)
        yield gauge("palabre_changes_waiting", "Changes that wait for their transaction.", changes.waiting)


def installed_version() -> str:
    """`unknown` where the sources run without having been installed."""
    try:
        return version("palabre")
    except PackageNotFoundError:
        return "unknown"


def gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def counter(name: str, about: str, value: int) -> Metric:
    return CounterMetricFamily(name, about, value=value)


def counted(name: str, about: str, label: str, numbers: Counter[str]) -> Metric:
    shown = CounterMetricFamily(name, about, labels=(label,))
    for value, number in numbers.items():
        shown.add_metric((value,), number)
    return shown


def histogram(name: str, about: str, numbers: Histogram) -> Metric:
    buckets, total = cumulated(numbers)
    return HistogramMetricFamily(name, about, buckets=buckets, sum_value=total)


def cumulated(numbers: Histogram) -> tuple[list[tuple[str, float]], float]:
    """As Prometheus wants it: how many there are up to each bound."""
    so_far, buckets = 0, []
    for bound, count in zip((*numbers.bounds, float("inf")), numbers.counts, strict=True):
        so_far += count
        buckets.append(("+Inf" if bound == float("inf") else str(float(bound)), float(so_far)))
    return buckets, numbers.total


def metrics_app(shown: Collector) -> Starlette:
    """Serves `/metrics`, with what Prometheus knows of any process."""
    registry = CollectorRegistry()
    for each in (shown, PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        registry.register(each)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", metrics, methods=["GET"])])
