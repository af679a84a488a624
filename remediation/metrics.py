"""The remediation role's metrics of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar, Timestamp

from compose_agent.errors import StateError
from compose_agent.role import ConfigState
from compose_agent.selfmetrics import add_program, exposition, gauge, new_registry
from compose_agent.tracing import pipeline
from remediation.guard.breaker import Breaker, BreakerState
from remediation.guard.buckets import Bucket, filled
from remediation.journal import FREEZE_FLAG, Journal, View
from remediation.journal.tallies import BUCKETS, Example, Histogram
from remediation.model import LIVE
from remediation.policies.model import Policy, Rate
from remediation.receiver.received import BUCKETS as RECEIVED_BUCKETS
from remediation.receiver.received import Received
from remediation.traces.ids import ROOT, span_id, trace_hex


class Watched(Protocol):
    """What the metrics look at when they are asked for."""

    @property
    def journal(self) -> Journal: ...  # noqa: D102
    @property
    def received(self) -> Received: ...  # noqa: D102
    def beat_at(self) -> float:
        """Return when the engine last looked for something to do, Unix time."""

    def policy(self, name: str) -> Policy | None:
        """Return a policy in force."""

    def budgets(self) -> Mapping[str, Rate]:
        """Return the budgets of all policies together, by the keys under which the journal has them."""


class RemediationMetrics:
    """A registry whose families are made from journal and receiver as they are at that moment."""

    def __init__(self, state: ConfigState, watched: Watched, now: Callable[[], float] = time.time) -> None:
        self.registry = new_registry()
        self.registry.register(_Counted(watched))
        self.registry.register(_Kept(watched, now))
        self.registry.register(_Receiver(watched))
        text = "When the engine last looked for something to do, Unix time; it does so four times a second."
        name = "remediation_engine_heartbeat_timestamp_seconds"
        gauge(self.registry, name, text, watched.beat_at)
        text = "Whether the last transaction went to disk (0 or 1)."
        gauge(self.registry, "remediation_journal_writable", text, lambda: not watched.journal.error)
        add_program(self.registry, "remediation", "remediation role", state)

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the metrics in one of the two formats."""
        return exposition(self.registry, openmetrics=openmetrics)


class _Counted:
    """Makes the families of what was decided and done."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def describe(self) -> Iterable[Metric]:
        """Leave the names to the moment of collection."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        tallies = self._watched.journal.tallies
        decisions = _counter(
            "decisions", "Times that nothing was done, or not yet, by reason and policy.", "reason", "policy"
        )
        actions = _counter("actions", "Actions that ended, by what the actor said.", "action", "result")
        with tallies.lock:
            for key, count in tallies.decisions.items():
                decisions.add_metric(key, count)
            for key, count in tallies.actions.items():
                actions.add_metric(key, count)
            durations = _histograms(
                "action_duration",
                "From the beginning of an action to its outcome.",
                tallies.durations,
                "action",
            )
            alert = _histogram(
                "alert_to_action", "From an alert's start to its first action.", tallies.since_alert
            )
            receipt = _histogram(
                "receipt_to_action",
                "From the receipt of an alert to its first action.",
                tallies.since_receipt,
            )
        commits = _counter("journal_commits", "Transactions of the journal that are on disk.")
        commits.add_metric((), self._watched.journal.commits)
        yield from (decisions, actions, durations, alert, receipt, commits)


@dataclass(frozen=True, slots=True)
class _Standing:
    """What the journal says at one moment."""

    inbox: int
    states: Mapping[str, int]
    buckets: Mapping[str, Bucket]
    breakers: Mapping[str, Breaker]
    frozen: bool


def _standing(view: View) -> _Standing:
    frozen = view.flag(FREEZE_FLAG) is not None
    return _Standing(view.inbox_size(), view.states(), view.buckets(), view.breakers(), frozen)


class _Kept:
    """Makes the families of what lies in the journal; none while it cannot be read."""

    def __init__(self, watched: Watched, now: Callable[[], float]) -> None:
        self._watched = watched
        self._now = now

    def describe(self) -> Iterable[Metric]:
        """Leave the names to the moment of collection."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        try:
            standing = self._watched.journal.read(_standing)
        except StateError:
            return
        yield _gauge("inbox_signals", "Signals on disk about which nothing is decided yet.", standing.inbox)
        yield _gauge("frozen", "Whether all remediation is frozen (0 or 1).", standing.frozen)
        live = _gauge("intents", "Actions that have not ended, by state.", None, "state")
        for state in LIVE:
            live.add_metric((state,), standing.states.get(state, 0))
        yield live
        yield self._budgets(standing.buckets)
        yield self._breakers(standing.breakers)

    def _budgets(self, buckets: Mapping[str, Bucket]) -> Metric:
        text = "Actions that a budget of all policies together still allows at this moment."
        family = _gauge("budget_remaining", text, None, "budget")
        for key, rate in self._watched.budgets().items():
            family.add_metric((key,), filled(buckets.get(key), rate, self._now()).tokens)
        return family

    def _breakers(self, breakers: Mapping[str, Breaker]) -> Metric:
        text = "State of each breaker that has seen a failure (0 or 1); half_open lets one trial pass."
        family = _gauge("breaker_state", text, None, "policy", "target", "state")
        for key, breaker in breakers.items():
            name, _, target = key.partition(":")
            if policy := self._watched.policy(name):
                limits = policy.limits
                current = breaker.state(limits.breaker_failures, limits.breaker_seconds, self._now())
                for state in BreakerState:
                    family.add_metric((name, target, state), state == current)
        return family


class _Receiver:
    """Makes the families of what was received."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched

    def describe(self) -> Iterable[Metric]:
        """Leave the names to the moment of collection."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        received = self._watched.received
        requests = _counter("requests", "Requests with alerts or triggers, refused ones too.", "source")
        refused = _counter("refused_requests", "Requests that were not taken, by reason.", "source", "reason")
        signals = _counter("signals", "Alerts and triggers put on disk.", "source", "status")
        for source, count in list(received.requests.items()):
            requests.add_metric((source,), count)
        for (source, why), count in list(received.refused.items()):
            refused.add_metric((source, why), count)
        for (source, firing), count in list(received.signals.items()):
            signals.add_metric((source, "firing" if firing else "resolved"), count)
        truncated = _counter("truncated_alerts", "Alerts that Alertmanager left out of a notification.")
        truncated.add_metric((), received.truncated)
        durable = HistogramMetricFamily(
            "remediation_acknowledgement_seconds", "From the head of a request until its alerts are on disk."
        )
        buckets = _cumulative(RECEIVED_BUCKETS, list(received.durable_counts))
        durable.add_metric((), buckets, received.durable_seconds)
        yield from (requests, refused, signals, truncated, durable)


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return _histograms(name, text, {"": histogram})


def _histograms(
    name: str, text: str, histograms: Mapping[str, Histogram], *labels: str
) -> HistogramMetricFamily:
    """Return a family whose buckets have, where this process traces, the latest action as an exemplar."""
    family = HistogramMetricFamily(f"remediation_{name}_seconds", text, labels=labels or None)
    traces = pipeline.current() is not None
    for value, histogram in histograms.items():
        buckets: list[Any] = [*_cumulative(BUCKETS, histogram.counts)]
        for number, example in enumerate(histogram.examples):
            if traces and example:
                buckets[number] = (*buckets[number], exemplar(example))
        family.add_metric((value,) if labels else (), buckets, histogram.sum)
    return family


def exemplar(example: Example) -> Exemplar:
    """Return the root of an action's trace as an exemplar (OpenMetrics)."""
    ids = {
        "trace_id": trace_hex(example.intent),
        "span_id": span_id(example.intent, ROOT).hex(),
    }
    return Exemplar(ids, example.seconds, Timestamp(int(example.at), int(example.at % 1 * 1e9)))


def _cumulative(bounds: Sequence[float], counts: Sequence[int]) -> list[tuple[str, float]]:
    """Return buckets as prometheus-client takes them."""
    names = [*map(str, bounds), "+Inf"]
    return list(zip(names, map(float, accumulate(counts)), strict=True))


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"remediation_{name}", text, labels=labels)


def _gauge(name: str, text: str, value: float | None, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"remediation_{name}", text, value, labels=labels or None)
