"""Panels as Grafana asks for them, against a real Prometheus."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection
from typing import Any, Protocol

from lab.prometheus import Sample
from tests.dashboards.files import DASHBOARDS, MAY_BE_EMPTY, panels, variables

_PAUSE_SECONDS = 3.0
# Four scrapes of the parts that tests start.
RATE_INTERVAL = "10s"


class Queried(Protocol):
    """A Prometheus, whoever started it."""

    def query(self, expression: str) -> list[Sample]:
        """Return the series of an instant query."""


def filled_in(expr: str, dashboard: dict[str, Any], rate_interval: str = RATE_INTERVAL) -> str:
    """Put in what Grafana would for the choice of all."""
    expr = expr.replace("$__rate_interval", rate_interval).replace("$__interval", "5s")
    for name, variable in variables(dashboard).items():
        expr = re.sub(rf"\$\{{?{name}\b\}}?", str(variable.get("allValue") or ""), expr)
    return expr


def asked(rate_interval: str = RATE_INTERVAL) -> dict[str, list[str]]:
    """Return the queries of every panel, filled in."""
    return {
        f"{path}: {panel['title']}": [
            filled_in(each["expr"], dashboard, rate_interval) for each in panel["targets"]
        ]
        for path, dashboard in DASHBOARDS.items()
        for panel in panels(dashboard)
        if panel["type"] != "text"
    }


def reasons() -> dict[str, str]:
    """Return why each panel may be empty, in its own words; nothing for those that may not."""
    return {
        f"{path}: {panel['title']}": panel["description"].partition(MAY_BE_EMPTY)[2]
        for path, dashboard in DASHBOARDS.items()
        for panel in panels(dashboard)
    }


def empty_after(
    prometheus: Queried, seconds: float, expected: Collection[str], rate_interval: str = RATE_INTERVAL
) -> set[str]:
    """Ask until all panels but the expected ones have data, for so long at most; return those without."""
    waiting = asked(rate_interval)
    deadline = time.monotonic() + seconds
    while True:
        waiting = {name: exprs for name, exprs in waiting.items() if not _has_data(prometheus, exprs)}
        if not set(waiting) - set(expected) or time.monotonic() > deadline:
            return set(waiting)
        time.sleep(_PAUSE_SECONDS)


def _has_data(prometheus: Queried, exprs: list[str]) -> bool:
    """Tell whether any query of a panel gives a number."""
    return any(not math.isnan(sample.value) for expr in exprs for sample in prometheus.query(expr))
