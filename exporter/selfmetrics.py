"""The exporter's metrics of itself, kept by prometheus-client."""

from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from compose_agent import __version__
from compose_agent.role import ConfigState

# From a ping (well under a millisecond) to a stats call of an old Engine (1 s) and the deadline (10 s).
ENGINE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_OPENMETRICS_END = "# EOF\n"


class SelfMetrics:
    """Metrics of the exporter's own work, in a registry of their own."""

    def __init__(self, state: ConfigState) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
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
        Info("docker_exporter_build", "Version of this exporter.", registry=self.registry).info(
            {"version": __version__, "python": platform.python_version()}
        )
        self._gauge(
            "config_revision", "Number of the configuration in force, from 1.", lambda: state.revision
        )
        self._gauge(
            "config_last_reload_successful",
            "Whether the last change of the configuration was taken (0 or 1).",
            lambda: state.successful,
        )
        self._gauge(
            "config_last_reload_success_timestamp_seconds",
            "When a configuration was last taken, Unix time.",
            lambda: state.last_success,
        )
        self.web_reload = Gauge(
            "docker_exporter_web_config_last_reload_successful",
            "Whether the web configuration file as it is now is in force (0 or 1).",
            registry=self.registry,
        )
        self.web_reload.set(1)
        ProcessCollector(registry=self.registry)

    def _gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        Gauge(f"docker_exporter_{name}", text, registry=self.registry).set_function(value)

    def observe_engine(self, call: str, seconds: float, outcome: str) -> None:
        """Take the duration of a call to the Engine, as the client's observer."""
        self.engine_seconds.labels(call).observe(seconds)
        if outcome != "ok":
            self.engine_errors.labels(call, outcome).inc()

    def text(self, *, openmetrics: bool) -> str:
        """Return the metrics as text, without the end mark."""
        module: Any = openmetrics_exposition if openmetrics else prometheus_client
        text: str = module.generate_latest(self.registry).decode()
        return text.removesuffix(_OPENMETRICS_END)
