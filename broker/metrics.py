"""The broker's metrics of itself."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter

from compose_agent.role import ConfigState
from compose_agent.selfmetrics import add_program, exposition, gauge, new_registry


class BrokerMetrics:
    """What was asked, refused and done. Thread-safe; ``streams`` says how many endless answers are open."""

    def __init__(self, state: ConfigState, streams: Callable[[], int] = lambda: 0) -> None:
        self.registry = new_registry()
        self._requests = Counter(
            "broker_requests",
            "Requests on the list, by route and by the status that the Engine, or for it the broker, gave.",
            ("socket", "route", "status"),
            registry=self.registry,
        )
        self._refusals = Counter(
            "broker_refusals",
            "Requests that were not on the list or had not its forms, by what was wrong with them.",
            ("socket", "reason"),
            registry=self.registry,
        )
        self._verbs = Counter(
            "broker_verbs",
            "Answers to requests for a verb: done, failed, refused, unknown, or unavailable.",
            ("verb", "result"),
            registry=self.registry,
        )
        gauge(self.registry, "broker_streams", "Answers without an end that are open.", streams)
        add_program(self.registry, "broker", "broker", state)

    def answered(self, socket: str, route: str, status: int) -> None:
        """Count an answer to a request on the list."""
        self._requests.labels(socket, route, str(status)).inc()

    def refused(self, socket: str, reason: str) -> None:
        """Count a request that was not on the list."""
        self._refusals.labels(socket, reason).inc()

    def performed(self, verb: str, result: str) -> None:
        """Count what became of a request for a known verb."""
        self._verbs.labels(verb, result).inc()

    def text(self, *, openmetrics: bool) -> bytes:
        """Return the metrics in one of the two formats."""
        return exposition(self.registry, openmetrics=openmetrics)
