"""The forwarder's metrics of itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from compose_agent.dockerd.model import Container
from compose_agent.role import ConfigState
from compose_agent.selfmetrics import add_program, exposition, gauge, new_registry
from log_forwarder.lane import Lane
from log_forwarder.latency import Latency
from log_forwarder.outbox import Tally

_CONTAINER_LABELS = ("sink", "name", "id", "compose_project", "compose_service")


class SpoolUse(Protocol):
    """How full the spool is; ``rescued_bytes`` counts from the start of the process."""

    @property
    def used(self) -> int: ...  # noqa: D102
    @property
    def limit(self) -> int: ...  # noqa: D102
    @property
    def rescued_bytes(self) -> int: ...  # noqa: D102


class Watched(Protocol):
    """What the metrics look at when they are asked for."""

    def lanes(self) -> Sequence[tuple[Lane, Latency]]:
        """Return the lanes there are."""

    def followed(self) -> int:
        """Return how many containers' logs are followed."""

    def spool(self) -> SpoolUse:
        """Return the copies of what Docker removed."""

    def dead_letters(self) -> Path | None:
        """Return the file of dead letters, which need not be there; None if another process tells of it."""


class ForwarderMetrics:
    """A registry whose families are made from the lanes as they are at that moment."""

    def __init__(self, state: ConfigState, watched: Watched) -> None:
        self.registry = new_registry()
        self.registry.register(_Lanes(watched))
        self.registry.register(_Disk(watched))
        text = "Containers whose logs are followed."
        gauge(self.registry, "log_forwarder_containers", text, watched.followed)
        if file := watched.dead_letters():
            add_dead_letters(self.registry, file)
        add_program(self.registry, "log_forwarder", "forwarder", state)

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the metrics in one of the two formats."""
        return exposition(self.registry, openmetrics=openmetrics)


class _Lanes:
    """Makes the families of all lanes, with one consistent tally for each."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def describe(self) -> Iterable[Metric]:
        """Leave the names to the moment of collection."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        lanes = self._watched.lanes()
        tallies = [(lane.name, lane.outbox.tally()) for lane, _ in lanes]
        yield from _tallied(tallies)
        yield from _delivery([lane for lane, _ in lanes])
        yield from _containers([lane for lane, _ in lanes])
        yield _latencies(lanes)


class _Disk:
    """Makes the families of what lies in the state directory."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def describe(self) -> Iterable[Metric]:
        """Leave the names to the moment of collection."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        spool = self._watched.spool()
        yield GaugeMetricFamily(
            "log_forwarder_spool_bytes",
            "Bytes of the copies of files that Docker removed before every sink had them.",
            spool.used,
        )
        yield GaugeMetricFamily(
            "log_forwarder_spool_limit_bytes", "The most bytes that the copies may take.", spool.limit
        )
        yield CounterMetricFamily(
            "log_forwarder_spool_rescued_bytes", "Bytes copied into the spool.", spool.rescued_bytes
        )


def add_dead_letters(registry: CollectorRegistry, file: Path) -> None:
    """Add the size of the file of dead letters, which need not be there."""

    def size() -> int:
        try:
            return file.stat().st_size
        except FileNotFoundError:
            return 0

    gauge(registry, "log_forwarder_dead_letters_bytes", "Size of the file of dead letters.", size)


def _tallied(tallies: Sequence[tuple[str, Tally]]) -> Iterator[Metric]:
    read = _counter("read_events", "Lines read for a sink: sent, dropped, dead-lettered or held.")
    sent = _counter("sent_events", "Lines that a sink has confirmed.")
    dead = _counter("dead_lettered_events", "Lines that a sink will never take.")
    held = _family("held_events", "Lines read and not yet confirmed.")
    dropped = _counter("dropped_events", "Lines left out, by reason.", "reason")
    redacted = _counter("redactions", "Places in lines that were made unreadable, by rule.", "rule")
    failed = _counter(
        "transform_failures",
        "Lines that a transform could do nothing with, shipped as they are.",
        "transform",
    )
    for sink, tally in tallies:
        read.add_metric((sink,), tally.read)
        sent.add_metric((sink,), tally.sent)
        dead.add_metric((sink,), tally.dead_lettered)
        held.add_metric((sink,), tally.held)
        for reason, count in tally.dropped.items():
            dropped.add_metric((sink, reason), count)
        for rule, count in tally.redacted.items():
            redacted.add_metric((sink, rule), count)
        for transform, count in tally.failed.items():
            failed.add_metric((sink, transform), count)
    yield from (read, sent, dead, held, dropped, redacted, failed)


def _delivery(lanes: Sequence[Lane]) -> Iterator[Metric]:
    up = _family("sink_up", "Whether the last attempt to deliver went well (0 or 1).")
    attempts = _counter("sink_requests", "Requests or parcels sent.")
    retried = _counter("retried_events", "Lines sent once more.")
    failures = _counter("sink_failures", "Attempts to deliver that failed, by reason.", "reason")
    waiting = _family("held_bytes", "Bytes of the logs read and not yet confirmed.")
    for lane in lanes:
        health = lane.health
        up.add_metric((lane.name,), not health.error)
        attempts.add_metric((lane.name,), health.attempts)
        retried.add_metric((lane.name,), health.retried)
        waiting.add_metric((lane.name,), lane.outbox.held_bytes())
        for reason, count in list(health.failures.items()):
            failures.add_metric((lane.name, reason), count)
    yield from (up, attempts, retried, failures, waiting)


def _containers(lanes: Sequence[Lane]) -> Iterator[Metric]:
    behind = GaugeMetricFamily(
        "log_forwarder_lag_bytes", "Bytes of a container's log not read yet.", labels=_CONTAINER_LABELS
    )
    lag = GaugeMetricFamily(
        "log_forwarder_lag_seconds",
        "Age of the oldest line of a container's log that is not read yet; 0 without any.",
        labels=_CONTAINER_LABELS,
    )
    age = GaugeMetricFamily(
        "log_forwarder_oldest_unconfirmed_seconds",
        "For how long the oldest line on its way has been waiting; 0 without any.",
        labels=_CONTAINER_LABELS,
    )
    corrupt = _counter("corrupt_records", "Places in logs that could not be read.")
    gaps = _counter("gaps", "Times that Docker removed lines before they were read.")
    gap_bytes = _counter("gap_bytes", "Bytes of logs known to be removed before they were read.")
    for lane in lanes:
        for each in lane.standings():
            labels = (lane.name, *_labels(each.container))
            behind.add_metric(labels, each.behind_bytes)
            lag.add_metric(labels, each.behind_seconds)
            age.add_metric(labels, each.oldest_seconds)
        lost = lane.losses()
        corrupt.add_metric((lane.name,), lost.corrupt)
        gaps.add_metric((lane.name,), lost.gaps)
        gap_bytes.add_metric((lane.name,), lost.gap_bytes)
    yield from (behind, lag, age, corrupt, gaps, gap_bytes)


def _latencies(lanes: Sequence[tuple[Lane, Latency]]) -> Metric:
    family = HistogramMetricFamily(
        "log_forwarder_delivery_latency_seconds",
        "From the time Docker gave a line to its confirmation by the sink, in seconds.",
        labels=("sink",),
    )
    for lane, latency in lanes:
        buckets, total = latency.buckets()
        shown: list[Any] = [
            (*bucket, exemplar) if exemplar else bucket
            for bucket, exemplar in zip(buckets, latency.exemplars(), strict=True)
        ]
        family.add_metric((lane.name,), shown, total)
    return family


def _labels(container: Container) -> tuple[str, str, str, str]:
    return container.name, container.short_id, container.compose_project, container.compose_service


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"log_forwarder_{name}", text, labels=("sink", *labels))


def _family(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"log_forwarder_{name}", text, labels=("sink",))
