"""What became of the spans of this process, as metrics of whichever role it runs."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from compose_agent.tracing import pipeline


def add_tracing(registry: CollectorRegistry, prefix: str) -> None:
    """Add the families ``<prefix>_tracing_…``; they have no series while the process does not trace.

    ``created_total = exported_total + spooled + the sum of dropped_total`` at any moment, through restarts.
    """
    registry.register(_Tracing(f"{prefix}_tracing_spans"))


class _Tracing:
    def __init__(self, name: str) -> None:
        self._name = name

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        name = self._name
        created = CounterMetricFamily(f"{name}_created", "Spans that were over, since the spool was made.")
        exported = CounterMetricFamily(f"{name}_exported", "Spans that the collector has confirmed.")
        spooled = GaugeMetricFamily(f"{name}_spooled", "Spans on disk that the collector does not have yet.")
        dropped = CounterMetricFamily(
            f"{name}_dropped", "Spans that no collector will have, by reason.", labels=("reason",)
        )
        if found := pipeline.current():
            account = found.account()
            created.add_metric((), account.created)
            exported.add_metric((), account.exported)
            spooled.add_metric((), account.spooled)
            for reason, number in sorted(account.dropped.items()):
                dropped.add_metric((reason,), number)
        yield from (created, exported, spooled, dropped)
