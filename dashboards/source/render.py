"""Grafana's Classic JSON of a dashboard, schema version 39, which Grafana 10.3 and later read."""

from __future__ import annotations

import json
import string
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards.source.model import COLUMNS, Column, Dashboard, Mark, Panel, Query, Row, Step, Variable, Word

SCHEMA_VERSION = 39
TAG = "compose-agent"
DATASOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${datasource}"}
# Grafana's own store, where the remediation role writes its annotations.
_GRAFANA: Mapping[str, str] = {"type": "grafana", "uid": "-- Grafana --"}
# Prometheus is asked no more often than it scrapes in most installations.
_REFRESH = "30s"
_ROW_HEIGHT = 1
# Panel ids stand in addresses, so they follow from titles and not from places.
_IDS = 1_000_000
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def text(dashboard: Dashboard) -> str:
    """Return the JSON file of a dashboard."""
    return json.dumps(_dashboard(dashboard), indent=2, ensure_ascii=False) + "\n"


def panel_id(title: str) -> int:
    """Return the id of the panel of this title, the same for ever."""
    return zlib.crc32(title.encode()) % _IDS + 1


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
        yield _panel(panel) | {"gridPos": place}
        left, height = left + panel.width, max(height, panel.height)


def _panel(panel: Panel) -> dict[str, Any]:
    why = f"\n\nMay be empty: {panel.may_be_empty}" if panel.may_be_empty else ""
    common = {
        "id": panel_id(panel.title),
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description + why,
    }
    if panel.kind == "text":
        return common | {"options": {"mode": "markdown", "content": panel.text}}
    return common | {
        "datasource": DATASOURCE,
        "targets": [
            _target(query, letter, panel)
            for query, letter in zip(panel.queries, string.ascii_uppercase, strict=False)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": [*_overrides(panel)]},
        "options": _options(panel),
        "transformations": _transformations(panel),
    }


def _target(query: Query, letter: str, panel: Panel) -> dict[str, Any]:
    instant = query.instant or panel.kind == "table"
    return {
        "refId": letter,
        "datasource": DATASOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "format": "table" if panel.kind == "table" else "time_series",
        "legendFormat": query.legend or "__auto",
        "instant": instant,
        "range": not instant,
        "exemplar": query.exemplars,
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.steps or panel.words else "palette-classic"},
        "thresholds": _thresholds(panel.steps),
        "mappings": _mappings(panel.words),
        "links": [_link(panel.link)] if panel.link else [],
        "custom": _CUSTOM.get(panel.kind, {}),
    }
    known = {
        "decimals": panel.decimals,
        "min": panel.least,
        "max": panel.most,
        "noValue": panel.may_be_empty or None,
    }
    return defaults | {key: value for key, value in known.items() if value is not None}


_CUSTOM: Mapping[str, Any] = {
    "timeseries": {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 8,
        "showPoints": "never",
        "spanNulls": False,
        "axisSoftMin": 0,
    },
    "state-timeline": {"fillOpacity": 80, "lineWidth": 0},
    "table": {"align": "auto", "filterable": True, "cellOptions": {"type": "auto"}},
}


def _thresholds(steps: Sequence[Step]) -> dict[str, Any]:
    shown = steps or [Step(None, "green")]
    return {"mode": "absolute", "steps": [{"value": each.value, "color": each.color} for each in shown]}


def _mappings(words: Sequence[Word]) -> list[dict[str, Any]]:
    options = {
        f"{word.value:g}": {"text": word.text, "color": word.color, "index": index}
        for index, word in enumerate(words)
    }
    return [{"type": "value", "options": options}] if words else []


def _link(url: str) -> dict[str, Any]:
    return {"title": "Details", "url": url, "targetBlank": False}


def _overrides(panel: Panel) -> Iterator[dict[str, Any]]:
    for name in panel.dashed:
        yield _override(
            "byRegexp", name, {"custom.lineStyle": {"fill": "dash", "dash": [8, 6]}, "custom.fillOpacity": 0}
        )
    for column in panel.columns:
        yield _override("byName", column.title, _column(column))


def _override(how: str, what: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    listed = [{"id": key, "value": value} for key, value in properties.items()]
    return {"matcher": {"id": how, "options": what}, "properties": listed}


def _column(column: Column) -> dict[str, Any]:
    colors = {
        text: {"color": color, "index": index} for index, (text, color) in enumerate(column.colors.items())
    }
    cell = "gauge" if column.gauge else "color-text" if column.words or colors or column.steps else "auto"
    mappings = _mappings(column.words) or ([{"type": "value", "options": colors}] if colors else [])
    asked: dict[str, Any] = {
        "unit": column.unit or None,
        "custom.width": column.width or None,
        "mappings": mappings or None,
        "thresholds": _thresholds(column.steps) if column.steps else None,
        "links": [_link(column.link)] if column.link else None,
        "custom.cellOptions": {"type": cell, "mode": "basic"} if cell == "gauge" else {"type": cell},
        "min": 0 if column.gauge else None,
        "max": 1 if column.gauge else None,
    }
    return {key: value for key, value in asked.items() if value is not None}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        return {
            "reduceOptions": _LAST,
            "colorMode": "background" if panel.colored_background else "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
            "orientation": "auto",
        }
    if panel.kind == "bargauge":
        return {
            "reduceOptions": _LAST,
            "displayMode": "basic",
            "orientation": "horizontal",
            "showUnfilled": True,
            "valueMode": "color",
        }
    if panel.kind == "table":
        sort = [{"displayName": panel.sort_by, "desc": True}] if panel.sort_by else []
        return {"showHeader": True, "cellHeight": "sm", "sortBy": sort}
    legend = {"showLegend": True, "displayMode": "list", "placement": "bottom"}
    if panel.kind == "state-timeline":
        return {
            "legend": legend,
            "tooltip": {"mode": "single", "sort": "none"},
            "mergeValues": True,
            "showValue": "auto",
            "rowHeight": 0.8,
        }
    return {"legend": legend | {"calcs": []}, "tooltip": {"mode": "multi", "sort": "desc"}}


def _transformations(panel: Panel) -> list[dict[str, Any]]:
    if panel.kind != "table":
        return []
    titles = {column.source: column.title for column in panel.columns}
    places = {column.source: place for place, column in enumerate(panel.columns)}
    names = "|".join(f"^{column.source}$" for column in panel.columns)
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"pattern": names}}},
        {"id": "organize", "options": {"indexByName": places, "renameByName": titles, "excludeByName": {}}},
    ]
