"""YAML read strictly, with the line of every value, so that an error can say where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from compose_agent.errors import ConfigError, Problem

# Configuration is written by hand; anything larger is a mistake (a log file, a device).
MAX_FILE_BYTES = 1 << 20
Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value with the line (from 1) on which it stands."""

    value: Scalar | dict[str, Node] | list[Node]
    line: int


def load(path: Path) -> Node:
    """Return the document in the file ``path``; an empty file is an empty mapping.

    Raises ConfigError when the file cannot be read or is not valid YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(Problem(str(path), f"is larger than {MAX_FILE_BYTES} bytes"))
    try:
        return parse(data.decode(), str(path))
    except UnicodeDecodeError as error:
        raise ConfigError(Problem(str(path), f"is not UTF-8 text (byte {error.start})")) from error


def parse(text: str, name: str) -> Node:
    """Return the document in ``text``; ``name`` stands in errors."""
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        return Node({}, 1) if root is None else _converted(root, loader, name, frozenset())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(Problem(f"{name}:{line}", f"is not valid YAML: {error.problem}")) from error
    except yaml.YAMLError as error:
        raise ConfigError(Problem(name, f"is not valid YAML: {' '.join(str(error).split())}")) from error
    finally:
        loader.dispose()


def _converted(node: yaml.Node, loader: yaml.SafeLoader, name: str, above: frozenset[int]) -> Node:
    line = node.start_mark.line + 1
    if id(node) in above:
        raise ConfigError(Problem(f"{name}:{line}", "is an alias of what contains it"))
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        return Node(_mapping(node, loader, name, above), line)
    if isinstance(node, yaml.SequenceNode):
        return Node([_converted(child, loader, name, above) for child in node.value], line)
    try:
        return Node(_scalar(loader.construct_object(node)), line)
    except ValueError as error:  # a timestamp such as 2026-99-99
        raise ConfigError(Problem(f"{name}:{line}", f"is not valid YAML: {error}")) from error


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _mapping(
    node: yaml.MappingNode, loader: yaml.SafeLoader, name: str, above: frozenset[int]
) -> dict[str, Node]:
    _refuse_duplicates(node, name)
    loader.flatten_mapping(node)  # "<<" puts what it merges in front, so that the explicit keys win
    return {
        str(key.value): Node(_converted(value, loader, name, above).value, key.start_mark.line + 1)
        for key, value in node.value
    }


def _refuse_duplicates(node: yaml.MappingNode, name: str) -> None:
    seen: set[str] = set()
    for key, _ in node.value:
        where = f"{name}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise ConfigError(Problem(where, "expected a text as key"))
        if key.value in seen:
            raise ConfigError(Problem(where, f"'{key.value}' stands here a second time"))
        seen.add(key.value)
