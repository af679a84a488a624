"""What the manager tells of roll-outs."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from fleet.manager.configs.model import OPEN, Phase, Rollout

_ENDS = tuple(phase for phase in Phase if phase not in OPEN)


class RolloutMetrics:
    """Counts ends, and tells how the open ones stand; every phase has a series from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._ended = Counter(
            "fleet_rollouts_total", "Roll-outs that have ended, by how.", ["phase"], registry=registry
        )
        for phase in _ENDS:
            self._ended.labels(phase.value)

    def watch(self, rollouts: Callable[[], Iterable[Rollout]]) -> None:
        """Tell of these roll-outs at each scrape."""
        self._registry.register(_Open(rollouts))

    def ended(self, phase: Phase) -> None:
        """Count a roll-out that has ended."""
        self._ended.labels(phase.value).inc()


class _Open:
    def __init__(self, rollouts: Callable[[], Iterable[Rollout]]) -> None:
        self._rollouts = rollouts

    def collect(self) -> Iterator[Metric]:
        found = Tally(each.phase for each in self._rollouts())
        metric = GaugeMetricFamily("fleet_rollouts_open", "Roll-outs that have not ended.", labels=["phase"])
        for phase in Phase:
            if phase in OPEN:
                metric.add_metric([phase.value], found[phase])
        yield metric
