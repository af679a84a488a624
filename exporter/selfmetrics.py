"""The exporter's metrics of itself, kept by prometheus-client."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from compose_agent.role import ConfigState
from compose_agent.selfmetrics import add_program, exposition, new_registry

# From a ping (well under a millisecond) to a stats call of an old Engine (1 s) and the deadline (10 s).
ENGINE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OPENMETRICS_END = "# EOF\n"


class SelfMetrics:
    """Metrics of the exporter's own work, in a registry of their own."""

    def __init__(self, state: ConfigState) -> None:
        self.registry = new_registry()
        self.engine_seconds = Histogram(
            "docker_engine_request_duration_seconds",
            "Duration of requests to the Engine, in seconds.",
            ["call"],
            buckets=ENGINE_BUCKETS,
            registry=self.registry,
        )
        self.engine_errors = Counter(
            "docker_engine_request_errors",
            "Requests to the Engine that failed, by call and what went wrong.",
            ["call", "reason"],
            registry=self.registry,
        )
        self.pushes = Counter(
            "docker_exporter_otlp_pushes",
            "Requests with metrics to a collector, by what became of them: taken, rejected (in part), "
            "refused, failed.",
            ["outcome"],
            registry=self.registry,
        )
        self.web_reload = Gauge(
            "docker_exporter_web_config_last_reload_successful",
            "Whether the web configuration file as it is now is in force (0 or 1).",
            registry=self.registry,
        )
        self.web_reload.set(1)
        add_program(self.registry, "docker_exporter", "exporter", state)

    def observe_engine(self, call: str, seconds: float, outcome: str) -> None:
        """Take the duration of a call to the Engine, as the client's observer."""
        self.engine_seconds.labels(call).observe(seconds)
        if outcome != "ok":
            self.engine_errors.labels(call, outcome).inc()

    def observe_push(self, outcome: str) -> None:
        """Take what became of a request with metrics."""
        self.pushes.labels(outcome).inc()

    def text(self, *, openmetrics: bool) -> str:
        """Return the metrics as text, without the end mark."""
        text = exposition(self.registry, openmetrics=openmetrics).decode()
        return text.removesuffix(_OPENMETRICS_END)
