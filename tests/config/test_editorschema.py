"""The JSON schema of the fields in Compose files."""

from __future__ import annotations

from typing import Any

import pytest

from compose_agent.commands.labels import every_label
from compose_agent.commands.roles import SCHEMA
from compose_agent.config.editorschema import compose_schema

WHOLE = compose_schema(SCHEMA, every_label())
TOP = WHOLE["properties"]["x-compose-agent"]
LABELS = WHOLE["properties"]["services"]["additionalProperties"]["properties"]["x-compose-agent"]


def find(schema: dict[str, Any], *keys: str) -> dict[str, Any] | None:
    """Return what the schema says of a value below these keys; None when there is to be none."""
    for key in keys:
        ways = [each for each in schema.get("anyOf", [schema]) if "properties" in each]
        found = [each["properties"].get(key) or each["additionalProperties"] for each in ways]
        if not found or not found[0]:
            return None
        schema = found[0]
    return schema


@pytest.mark.parametrize(
    "keys",
    [
        ("exporter.web.listen-address",),
        ("exporter", "web.listen-address"),
        ("exporter", "web", "listen-address"),
        ("exporter.web", "listen-address"),
        ("one-process",),
    ],
)
def test_options_may_be_nested_or_dotted(keys: tuple[str, ...]) -> None:
    found = find(TOP, *keys)
    assert found is not None
    assert "Expected: " in found["description"]


@pytest.mark.parametrize(
    "keys",
    [
        ("remediate",),
        ("logs",),
        ("logs", "parser"),
        ("logs.parser",),
        ("logs", "trigger", "oom"),
        ("scale", "max"),
        ("scale.max",),
        ("exec", "flush"),
    ],
)
def test_labels_may_be_nested_or_dotted_and_families_have_any_name(keys: tuple[str, ...]) -> None:
    assert find(LABELS, *keys) is not None


@pytest.mark.parametrize("keys", [("exporter", "wev"), ("config.file",), ("compose-file",), ("remediate",)])
def test_what_cannot_stand_at_top_level_is_unknown(keys: tuple[str, ...]) -> None:
    assert find(TOP, *keys) is None


def test_every_option_of_the_file_and_every_label_is_there() -> None:
    options = {key for key, bound in SCHEMA.options.items() if bound.option.in_file}
    assert {key for key in options if find(TOP, key) is None} == set()
    labels = [each.key for each in every_label() if not each.key.endswith(".NAME")]
    assert [key for key in labels if find(LABELS, key) is None] == []


def test_choices_and_switches_are_told() -> None:
    level, switch = find(TOP, "log.level"), find(TOP, "one-process")
    assert level is not None
    assert switch is not None
    assert level["enum"] == ["debug", "info", "warning", "error", None]
    assert switch["type"] == ["boolean", "null"]
