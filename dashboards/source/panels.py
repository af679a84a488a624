"""Grafana's JSON of a panel."""

from __future__ import annotations

import string
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashboards.source.model import Column, Panel, Query, Step, Word

DATASOURCE: Mapping[str, str] = {"type": "prometheus", "uid": "${datasource}"}
# Panel ids stand in addresses, so they follow from titles and not from places.
_IDS = 1_000_000
_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}


def panel_id(title: str) -> int:
    """Return the id of the panel of this title, the same for ever."""
    return zlib.crc32(title.encode()) % _IDS + 1


def panel_json(panel: Panel) -> dict[str, Any]:
    """Return a panel without its place."""
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
