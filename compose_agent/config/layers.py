"""The layers that a user writes: the file and the environment, with every unknown name refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from compose_agent.config.nearest import did_you_mean
from compose_agent.config.resolve import Given, Layer
from compose_agent.config.schema import ENVIRONMENT_PREFIX, Schema
from compose_agent.config.yamlfile import Node, load, plain
from compose_agent.errors import ConfigError, Problem
from compose_agent.failpoints import VARIABLE as FAILPOINTS
from compose_agent.privileges import VARIABLE as CONTAINER_USER

# Read before there is a configuration.
_NO_OPTIONS = {FAILPOINTS, CONTAINER_USER}


def file_layer(schema: Schema, path: Path) -> tuple[Layer, list[Problem]]:
    """Return what the file gives, and what is wrong with its keys, which may be nested or dotted.

    Raises ConfigError when the file as a whole cannot be taken.
    """
    return node_layer(schema, load(path), path)


def node_layer(schema: Schema, root: Node, path: Path) -> tuple[Layer, list[Problem]]:
    """Return what a mapping of options in the file ``path`` gives, and what is wrong with its keys."""
    if not isinstance(root.value, dict):
        raise ConfigError(Problem(f"{path}:{root.line}", "expected a mapping of options"))
    problems: list[Problem] = []
    layer: dict[str, Given] = {}
    for key, node in _leaves(schema, "", root):
        given = Given(plain(node), f"{path}:{node.line}")
        if what := _wrong_key(schema, key, layer):
            problems.append(Problem(given.where, what))
        elif node.value is not None:  # "key:" with nothing behind it leaves the default
            layer[key] = given
    return layer, problems


def _wrong_key(schema: Schema, key: str, layer: Layer) -> str | None:
    if key in layer:
        return f"'{key}' stands here a second time, first at {layer[key].where}"
    if schema.has_prefix(key):
        return f"'{key}' is a group: expected a mapping of options"
    if key not in schema.options:
        return f"unknown option '{key}'{did_you_mean(schema.nearest_key(key))}"
    if not schema.options[key].option.in_file:
        return f"'{key}' cannot stand in the file: expected it on the command line or in the environment"
    return None


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


def environment_layer(schema: Schema, environ: Mapping[str, str]) -> tuple[Layer, list[Problem]]:
    """Return what variables named COMPOSE_AGENT_… give, and the unknown ones; empty ones count as unset."""
    problems: list[Problem] = []
    layer: dict[str, Given] = {}
    for name, value in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or not value.strip():
            continue
        if name in _NO_OPTIONS:
            continue
        if key := schema.by_environment.get(name):
            layer[key] = Given(value, f"environment {name}", named=True)
        else:
            suggestion = did_you_mean(schema.nearest_variable(name))
            problems.append(Problem(f"environment {name}", f"unknown variable{suggestion}"))
    return layer, problems
