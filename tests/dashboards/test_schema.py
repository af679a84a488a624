"""The JSON has the names of Grafana's published schema, as the builders made from it know them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from tests.dashboards.files import DASHBOARDS, panels

# What the data source of Prometheus keeps in annotations and variables stands in no schema of dashboards.
OF_THE_DATA_SOURCE = {"definition", "step", "tagKeys", "textFormat", "titleFormat", "useValueForTime"}
UNITS = {value for name, value in vars(units).items() if isinstance(value, str) and name[0].isupper()}


@pytest.fixture(scope="module", autouse=True)
def register() -> None:
    plugins.register_default_plugins()


def lost(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield where a JSON value has what is not there after it was read by the schema and written again."""
    if isinstance(before, dict):
        if not isinstance(after, dict):
            yield path
            return
        for key, value in before.items():
            if key not in after and value not in (None, [], {}, "", False, 0):
                yield f"{path}.{key}"
            elif key in after:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list):
        if not isinstance(after, list) or len(before) != len(after):
            yield path
            return
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from lost(one, other, f"{path}[{number}]")
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


@pytest.mark.parametrize("path", DASHBOARDS)
def test_the_schema_knows_every_name(path: str) -> None:
    read = Dashboard.from_json(DASHBOARDS[path])
    written = json.loads(encoder.JSONEncoder(sort_keys=True, indent=2).encode(read))
    unknown = {each.rpartition(".")[2] for each in lost(DASHBOARDS[path], written)}
    assert unknown <= OF_THE_DATA_SOURCE


@pytest.mark.parametrize("path", DASHBOARDS)
def test_every_unit_is_one_of_grafana_s(path: str) -> None:
    for panel in panels(DASHBOARDS[path]):
        if panel["type"] == "text":
            continue
        config = panel["fieldConfig"]
        named = [config["defaults"]["unit"]] + [
            each["value"]
            for override in config["overrides"]
            for each in override["properties"]
            if each["id"] == "unit"
        ]
        assert set(named) <= UNITS, panel["title"]
