"""From here the JSON files of ``dashboards`` are written, by ``scripts/regenerate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from dashboards.source import (
    agent,
    container,
    containers,
    engine,
    fleet,
    host,
    logs,
    overview,
    project,
    remediation,
    runbooks,
)
from dashboards.source.model import Dashboard
from dashboards.source.render import text

# Grafana shows each folder under its name; what stands in none is at the top.
_ALL: Mapping[str, Dashboard] = {
    "overview.json": overview.DASHBOARD,
    "Containers/containers.json": containers.DASHBOARD,
    "Containers/container.json": container.DASHBOARD,
    "Containers/project.json": project.DASHBOARD,
    "Host/host.json": host.DASHBOARD,
    "Host/engine.json": engine.DASHBOARD,
    "Agent/logs.json": logs.DASHBOARD,
    "Agent/remediation.json": remediation.DASHBOARD,
    "Agent/agent.json": agent.DASHBOARD,
    "Agent/fleet.json": fleet.DASHBOARD,
}


def files() -> dict[str, Callable[[], str]]:
    """Return what makes each file, by its path within the repository."""
    made: dict[str, Callable[[], str]] = {path: partial(text, each) for path, each in _ALL.items()}
    made["Agent/runbooks.json"] = lambda: text(runbooks.dashboard())
    return {f"dashboards/{path}": make for path, make in made.items()}
