"""YAML read strictly, with the line of every value, so that an error can say where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from compose_agent.errors import ConfigError, Problem

# Configuration is written by hand; anything larger is a mistake (a log file, a device).
MAX_FILE_BYTES = 1 << 20
# Aliases of aliases can make billions of values out of a few lines.
MAX_VALUES = 100_000
Scalar = str | int | float | bool | None
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Node:
    """A value, the line (from 1) on which it stands, and for a scalar that is not null its ``text``."""

    value: Scalar | dict[str, Node] | list[Node]
    line: int
    text: str | None = None


def load(path: Path) -> Node:
    """Return the document in the file ``path``; an empty file is an empty mapping.

    Raises ConfigError when the file cannot be read or is not valid YAML.
    """
    return parse(read(path), str(path))


def read(path: Path) -> str:
    """Return the text of a file that people write; ConfigError when it cannot be read or is no such text."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(Problem(str(path), f"is larger than {MAX_FILE_BYTES} bytes"))
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(Problem(f"{path}:{line}", f"is not UTF-8 text (byte {error.start})")) from error


def parse(text: str, name: str, make: Callable[[str], yaml.SafeLoader] = yaml.SafeLoader) -> Node:
    """Return the document in ``text``; ``name`` stands in errors, all of which are ConfigError.

    ``make`` makes a loader that knows other tags as well.
    """
    loader: yaml.SafeLoader | None = None
    try:
        loader = make(text)
        root = loader.get_single_node()
        whole = _Conversion(loader, name).node(root, frozenset()) if root else Node(None, 1)
        return Node({}, whole.line) if whole.value is None else whole
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError(Problem(f"{name}:{line}", f"is not valid YAML: {_sentence(error)}")) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the character {ord(text[error.position]):#04x} cannot stand in it"
        raise ConfigError(Problem(f"{name}:{line}", f"is not valid YAML: {what}")) from error
    except RecursionError as error:
        raise ConfigError(Problem(name, "is nested too deeply")) from error
    finally:
        if loader:
            loader.dispose()


def plain(node: Node) -> object:
    """Return the text as it is written, or a list or a mapping of texts: what an option's kind reads."""
    if isinstance(node.value, list):
        return [_flat(child) for child in node.value]
    if isinstance(node.value, dict):
        return {name: _flat(child) for name, child in node.value.items()}
    return node.text


def _flat(node: Node) -> object:
    """Return the text, or an empty stand-in for what no option takes."""
    if isinstance(node.value, list):
        return []
    return {} if isinstance(node.value, dict) else node.text


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """Return what PyYAML says: its problem, which is sometimes only the second half of a sentence."""
    problem = error.problem or "it cannot be read"
    return f"{error.context}, {problem}" if error.context and problem.startswith("but ") else problem


class _Conversion:
    """Turns PyYAML's nodes into ours, up to a number of values."""

    def __init__(self, loader: yaml.SafeLoader, name: str) -> None:
        self._loader = loader
        self._name = name
        self._left = MAX_VALUES

    def node(self, node: yaml.Node, above: frozenset[int]) -> Node:
        """Return the node and what is below; ``above`` are the ids of what contains it."""
        line = node.start_mark.line + 1
        self._left -= 1
        if self._left < 0:
            raise self._wrong(line, f"holds more than {MAX_VALUES} values with its aliases written out")
        if id(node) in above:
            raise self._wrong(line, "is an alias of what contains it")
        above |= {id(node)}
        if isinstance(node, yaml.MappingNode):
            return Node(self._mapping(node, above), line)
        if isinstance(node, yaml.SequenceNode):
            return Node([self.node(child, above) for child in node.value], line)
        return self._scalar(node, line)

    def _scalar(self, node: yaml.Node, line: int) -> Node:
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:  # a timestamp such as 2026-99-99
            raise self._wrong(line, f"is not valid YAML: {error}") from error
        if value is None:
            return Node(None, line)
        return Node(value if isinstance(value, str | int | float | bool) else str(value), line, node.value)

    def _mapping(self, node: yaml.MappingNode, above: frozenset[int]) -> dict[str, Node]:
        self._refuse_duplicates(node)
        merged: dict[str, Node] = {}
        own: dict[str, Node] = {}
        for key, value in node.value:
            if key.tag == _MERGE:
                merged = self._merged(value, above)
            else:
                found = self.node(value, above)
                own[key.value] = Node(found.value, key.start_mark.line + 1, found.text)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, above: frozenset[int]) -> dict[str, Node]:
        """Return what stands behind ``<<``: a mapping, or a list of them of which the first wins."""
        merged: dict[str, Node] = {}
        for each in reversed(node.value if isinstance(node, yaml.SequenceNode) else [node]):
            found = self.node(each, above)
            if not isinstance(found.value, dict):
                raise self._wrong(found.line, "expected a mapping, or a list of mappings, behind '<<'")
            merged.update(found.value)
        return merged

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise self._wrong(line, "expected a text as key")
            if key.value in seen:
                raise self._wrong(line, f"'{key.value}' stands here a second time")
            seen.add(key.value)

    def _wrong(self, line: int, what: str) -> ConfigError:
        return ConfigError(Problem(f"{self._name}:{line}", what))
