"""The layers that a user writes: the file and the environment, with every unknown name refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from compose_agent.config.resolve import Given, Layer
from compose_agent.config.schema import ENVIRONMENT_PREFIX, Schema, did_you_mean, nearest
from compose_agent.config.yamlfile import Node, load
from compose_agent.errors import ConfigError, Problem


def file_layer(schema: Schema, path: Path) -> Layer:
    """Return what the file gives; keys may be nested or dotted. Raises ConfigError."""
    problems: list[Problem] = []
    layer: dict[str, Given] = {}
    root = load(path)
    if not isinstance(root.value, dict):
        raise ConfigError(Problem(f"{path}:{root.line}", "expected a mapping of options"))
    for key, node in _leaves(schema, "", root):
        where = f"{path}:{node.line}"
        if key not in schema.options:
            problems.append(Problem(where, _unknown(schema, key)))
        elif key in layer:
            problems.append(Problem(where, f"'{key}' stands here a second time"))
        elif node.value is not None:  # "key:" with nothing behind it leaves the default
            layer[key] = Given(_plain(node), where)
    if problems:
        raise ConfigError(problems)
    return layer


def _unknown(schema: Schema, key: str) -> str:
    if schema.has_prefix(key):
        return f"'{key}' is a group: expected a mapping of options"
    return f"unknown option '{key}'{did_you_mean(schema.nearest_key(key))}"


def _leaves(schema: Schema, prefix: str, node: Node) -> Iterator[tuple[str, Node]]:
    """Yield the options below ``node``, going down only where the schema has a group."""
    if not isinstance(node.value, dict):
        yield prefix, node
        return
    for name, child in node.value.items():
        key = f"{prefix}.{name}" if prefix else name
        if schema.has_prefix(key) and isinstance(child.value, dict):
            yield from _leaves(schema, key, child)
        elif not (schema.has_prefix(key) and child.value is None):  # "exporter:" with nothing below it
            yield key, child


def _plain(node: Node) -> object:
    if isinstance(node.value, list):
        return [_plain(child) for child in node.value]
    if isinstance(node.value, dict):
        return {key: _plain(child) for key, child in node.value.items()}
    return node.value


def environment_layer(schema: Schema, environ: Mapping[str, str]) -> Layer:
    """Return what variables named COMPOSE_AGENT_… give; empty ones count as unset. Raises ConfigError."""
    problems: list[Problem] = []
    layer: dict[str, Given] = {}
    for name, value in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or not value.strip():
            continue
        if key := schema.by_environment.get(name):
            layer[key] = Given(value, f"environment {name}")
        else:
            suggestion = did_you_mean(nearest(name, schema.by_environment))
            problems.append(Problem(f"environment {name}", f"unknown variable{suggestion}"))
    if problems:
        raise ConfigError(problems)
    return layer
