"""Panels as Grafana asks for them, against a real Prometheus."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Collection
from typing import Any

from lab.prometheus import Api
from tests.dashboards.files import DASHBOARDS, MAY_BE_EMPTY, panels, variables

_PAUSE_SECONDS = 3.0
# Four scrapes of the parts that tests start.
RATE_INTERVAL = "10s"
# The only one that needs a manager of a fleet.
FLEET = "Agent/fleet.json"


def filled_in(expr: str, dashboard: dict[str, Any], rate_interval: str = RATE_INTERVAL) -> str:
    """Put in what Grafana would for the choice of all."""
    expr = expr.replace("$__rate_interval", rate_interval).replace("$__interval", "5s")
    for name, variable in variables(dashboard).items():
        expr = re.sub(rf"\$\{{?{name}\b\}}?", str(variable.get("allValue") or ""), expr)
    return expr


def asked(rate_interval: str = RATE_INTERVAL, *, fleet: bool = False) -> dict[str, list[str]]:
    """Return the queries of every panel, filled in: those about a fleet, or all others."""
    return {
        f"{path}: {panel['title']}": [
            filled_in(each["expr"], dashboard, rate_interval) for each in panel["targets"]
        ]
        for path, dashboard in DASHBOARDS.items()
        for panel in panels(dashboard)
        if panel["type"] != "text" and (path == FLEET) == fleet
    }


def reasons() -> dict[str, str]:
    """Return why each panel may be empty, in its own words; nothing for those that may not."""
    return {
        f"{path}: {panel['title']}": panel["description"].partition(MAY_BE_EMPTY)[2]
        for path, dashboard in DASHBOARDS.items()
        for panel in panels(dashboard)
    }


def empty_after(
    prometheus: Api,
    seconds: float,
    expected: Collection[str],
    rate_interval: str = RATE_INTERVAL,
    *,
    fleet: bool = False,
) -> set[str]:
    """Ask until all panels but the expected ones have data, for so long at most; return those without."""
    waiting = asked(rate_interval, fleet=fleet)
    deadline = time.monotonic() + seconds
    while True:
        waiting = {name: exprs for name, exprs in waiting.items() if not _has_data(prometheus, exprs)}
        if not set(waiting) - set(expected) or time.monotonic() > deadline:
            return set(waiting)
        time.sleep(_PAUSE_SECONDS)


def without_values(prometheus: Api, path: str) -> list[str]:
    """Return the variables of a dashboard that have nothing to choose from."""
    return [
        name
        for name, variable in variables(DASHBOARDS[path]).items()
        if variable["type"] != "datasource" and not _values(prometheus, path, variable["query"]["query"])
    ]


def _values(prometheus: Api, path: str, query: str) -> list[str]:
    inner = re.fullmatch(r"label_values\((.+), (\w+)\)", query)
    assert inner, query
    selector = filled_in(inner[1], DASHBOARDS[path])
    found: list[str] = prometheus.api(f"label/{inner[2]}/values", **{"match[]": selector})
    return found


def _has_data(prometheus: Api, exprs: list[str]) -> bool:
    """Tell whether any query of a panel gives a number."""
    return any(not math.isnan(sample.value) for expr in exprs for sample in prometheus.query(expr))
