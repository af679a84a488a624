"""What the manager tells of commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from prometheus_client import CollectorRegistry, Counter, Histogram

from compose_agent.selfmetrics import gauge
from fleet.envelopes.command import ENDS
from fleet.envelopes.verbs import Verb
from fleet.manager.commands.model import Issued

# A look at a container takes milliseconds, a restart as long as the container needs to stop.
_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)


class CommandMetrics:
    """Counts ends; every verb and stage has a series from the start."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._ended = Counter(
            "fleet_commands_total", "Commands that have ended, by how.", ["verb", "stage"], registry=registry
        )
        self._seconds = Histogram(
            "fleet_command_seconds",
            "Time from a command to its end, of those that were done.",
            ["verb"],
            buckets=_BUCKETS,
            registry=registry,
        )
        for verb in Verb:
            self._seconds.labels(verb.value)
            for stage in ENDS:
                self._ended.labels(verb.value, stage.value)

    def watch(self, count: Callable[[], int]) -> None:
        """Tell at each scrape how many have not ended."""
        gauge(self._registry, "fleet_commands_open", "Commands that have not ended.", count)

    def changed(self, commands: Sequence[Issued]) -> None:
        """Count those that have ended."""
        for each in commands:
            if each.is_over:
                self._ended.labels(each.command.verb, each.stage.value).inc()
            if each.stage == "done":
                self._seconds.labels(each.command.verb).observe(each.ended - each.command.issued)
