"""What every role's metrics of itself have in common, kept by prometheus-client.

::

    registry = new_registry()
    gauge(registry, "log_forwarder_containers", "Containers whose logs are followed.", watched.followed)
    add_program(registry, "log_forwarder", "forwarder", state)
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Gauge, Info, Metric, ProcessCollector
from prometheus_client.openmetrics import exposition as openmetrics_exposition

from compose_agent import __version__
from compose_agent.role import ConfigState
from compose_agent.tracing.metrics import add_tracing

# What the client library puts on the samples of a histogram.
_LIBRARY_LABELS = ("le",)
_SUFFIXES = {"counter": "_total", "info": "_info"}


def new_registry() -> CollectorRegistry:
    """Return an empty registry: roles that share a process share no series."""
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    return CollectorRegistry()


def gauge(registry: CollectorRegistry, name: str, text: str, value: Callable[[], float]) -> None:
    """Add a gauge without labels, whose ``value`` is asked for at each scrape."""
    Gauge(name, text, registry=registry).set_function(value)


def add_program(registry: CollectorRegistry, prefix: str, role: str, state: ConfigState) -> None:
    """Add version, configuration, traces and process; ``role`` is what the texts call it: ``exporter``."""
    build = Info(f"{prefix}_build", f"Version of this {role}.", registry=registry)
    build.info({"version": __version__, "python": platform.python_version()})
    gauge(
        registry,
        f"{prefix}_config_revision",
        "Number of the configuration in force, from 1.",
        lambda: state.revision,
    )
    gauge(
        registry,
        f"{prefix}_config_last_reload_successful",
        "Whether the last change of the configuration was taken (0 or 1).",
        lambda: state.successful,
    )
    gauge(
        registry,
        f"{prefix}_config_last_reload_success_timestamp_seconds",
        "When a configuration was last taken, Unix time.",
        lambda: state.last_success,
    )
    add_tracing(registry, prefix)
    ProcessCollector(registry=registry)


def exposition(registry: CollectorRegistry, *, openmetrics: bool) -> bytes:
    """Return the metrics in one of the two formats; OpenMetrics with its end mark."""
    module: Any = openmetrics_exposition if openmetrics else prometheus_client
    text: bytes = module.generate_latest(registry)
    return text


def rows(registry: CollectorRegistry) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, type, labels and meaning of every family, for a page of documentation."""
    for family in registry.collect():
        name = family.name + _SUFFIXES.get(family.type, "")
        yield f"`{name}`", family.type, ", ".join(_labels(family)), family.documentation


def _labels(family: Metric) -> Iterable[str]:
    # One that is made at each scrape has the names of its labels, but perhaps no series to show them.
    declared: Iterable[str] | None = getattr(family, "_labelnames", None)
    shown = dict.fromkeys(label for sample in family.samples for label in sample.labels)
    return declared or [label for label in shown if label not in _LIBRARY_LABELS]
