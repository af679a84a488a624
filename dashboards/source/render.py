"""Grafana's Classic JSON of a dashboard, schema version 39, which Grafana 10.3 and later read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards.source.model import COLUMNS, Dashboard, Mark, Panel, Row, Variable
from dashboards.source.panels import DATASOURCE, panel_id, panel_json

SCHEMA_VERSION = 39
TAG = "compose-agent"
# Grafana's own store, where the remediation role writes its annotations.
_GRAFANA: Mapping[str, str] = {"type": "grafana", "uid": "-- Grafana --"}
# Prometheus is asked no more often than it scrapes in most installations.
_REFRESH = "30s"
_ROW_HEIGHT = 1


def text(dashboard: Dashboard) -> str:
    """Return the JSON file of a dashboard."""
    return json.dumps(_dashboard(dashboard), indent=2, ensure_ascii=False) + "\n"


def _dashboard(dashboard: Dashboard) -> dict[str, Any]:
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": [TAG],
        "schemaVersion": SCHEMA_VERSION,
        "editable": False,
        "graphTooltip": 1,  # one crosshair over all graphs
        "timezone": "browser",
        "refresh": _REFRESH,
        "time": {"from": dashboard.since, "to": "now"},
        "timepicker": {},
        "links": [_menu()],
        "annotations": {"list": [*_marks(dashboard)]},
        "templating": {"list": [_datasource_variable(), *map(_variable, dashboard.variables)]},
        "panels": [*_rows(dashboard.rows)],
    }


def _menu() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "Compose Agent",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "The other dashboards, for the same hosts and time",
        "url": "",
    }


def _datasource_variable() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Data source",
        "query": "prometheus",
        "regex": "",
        "refresh": 1,
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "current": {},
    }


def _variable(variable: Variable) -> dict[str, Any]:
    # Known to Grafana only when the dashboard is opened: so it is asked for anew whenever the time changes.
    chosen = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.label,
        "datasource": DATASOURCE,
        "definition": variable.values,
        "query": {"query": variable.values, "refId": f"variable-{variable.name}"},
        "regex": "",
        "refresh": 2,
        "sort": 1,
        "hide": 2 if variable.hidden else 0,
        "includeAll": not variable.single,
        "multi": not variable.single,
        "allValue": None if variable.single else variable.every,
        "options": [],
        "current": {} if variable.single else chosen,
    }


def _marks(dashboard: Dashboard) -> Iterator[dict[str, Any]]:
    if dashboard.actions_shown:
        yield {
            "name": "Actions",
            "datasource": _GRAFANA,
            "enable": True,
            "hide": False,
            "iconColor": "purple",
            "target": {"type": "tags", "tags": [TAG], "matchAny": True, "limit": 100},
        }
    yield from map(_mark, dashboard.marks)


def _mark(mark: Mark) -> dict[str, Any]:
    return {
        "name": mark.name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": mark.color,
        "expr": mark.expr,
        "titleFormat": mark.title,
        "textFormat": mark.text,
        "tagKeys": "name,compose_service",
        "step": "60s",
    } | ({"useValueForTime": "on"} if mark.by_value else {})


def _rows(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    top = 0
    for row in rows:
        below = top + _ROW_HEIGHT
        placed = [*_placed(row.panels, below)]
        yield {
            "type": "row",
            "id": panel_id(f"row {row.title}"),
            "title": row.title,
            "collapsed": row.collapsed,
            "gridPos": {"x": 0, "y": top, "w": COLUMNS, "h": _ROW_HEIGHT},
            "panels": placed if row.collapsed else [],
        }
        if not row.collapsed:
            yield from placed
        # Of a collapsed row only the heading takes room.
        ends = [each["gridPos"]["y"] + each["gridPos"]["h"] for each in placed]
        top = below if row.collapsed else max(ends, default=below)


def _placed(panels: Sequence[Panel], top: int) -> Iterator[dict[str, Any]]:
    left, height = 0, 0
    for panel in panels:
        if left + panel.width > COLUMNS:
            left, top, height = 0, top + height, 0
        place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
        yield panel_json(panel) | {"gridPos": place}
        left, height = left + panel.width, max(height, panel.height)
