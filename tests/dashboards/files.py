"""The JSON files of dashboards, as Grafana reads them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.dashboards.catalogue import ROOT

FOLDER = ROOT / "dashboards"
PATHS = sorted(path for path in FOLDER.rglob("*.json"))
DASHBOARDS: Mapping[str, dict[str, Any]] = {
    str(path.relative_to(FOLDER)): json.loads(path.read_text(encoding="utf-8")) for path in PATHS
}
MAY_BE_EMPTY = "\n\nMay be empty: "


def panels(dashboard: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the panels, those of collapsed rows too, without the rows themselves."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def queries(dashboard: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the title of every panel that asks, and of every annotation, with each of its expressions."""
    for panel in panels(dashboard):
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for mark in dashboard["annotations"]["list"]:
        if "expr" in mark:
            yield mark["name"], mark["expr"]


def variables(dashboard: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the variables by name."""
    return {each["name"]: each for each in dashboard["templating"]["list"]}


def texts(value: Any) -> Iterator[str]:
    """Yield every text within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
