"""The checks that a strict reader makes on a YAML mapping; every problem is kept, none stops the reading."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.config.resolve import default_value, read_value
from compose_agent.config.yamlfile import plain
from compose_agent.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose_agent.config.options import Option
    from compose_agent.config.yamlfile import Node

_SHOWN_CHARACTERS = 60


class Fields:
    """Read a mapping key by key; a wrong value is added to ``problems`` and read as absent.

    ``node`` is the mapping or None for an absent one, ``name`` its key, ``file`` stands in problems,
    ``known`` are the keys there may be, nothing in it means any.
    """

    def __init__(
        self, node: Node | None, name: str, file: str, known: Iterable[str], problems: list[Problem]
    ) -> None:
        self._file = file
        self._name = name
        self._line = node.line if node else 1
        self._problems = problems
        self.entries: dict[str, Node] = {}
        if node is not None and isinstance(node.value, dict):
            self.entries = node.value
        elif node is not None and node.value is not None:
            self._wrong(name or "the file", node, "a mapping")
        self._refuse_unknown(list(known))

    def __bool__(self) -> bool:
        return bool(self.entries)

    def node(self, key: str) -> Node | None:
        """Return what stands under ``key``; None when absent or empty."""
        node = self.entries.get(key)
        return None if node is None or node.value is None else node

    def where(self, key: str) -> str:
        """Return ``file:line`` of ``key``, or of the mapping when it has no such key."""
        node = self.entries.get(key)
        return f"{self._file}:{node.line if node else self._line}"

    def text(self, key: str) -> str | None:
        """Return a text, None when absent or blank."""
        node = self.node(key)
        if node is None or isinstance(node.value, str):
            return str(node.value) if node and node.value else None
        self._wrong(key, node, "text")
        return None

    def option(self, option: Option) -> Any:
        """Return the value of an option that stands under its key here, its default when absent."""
        node = self.node(option.key)
        if node is None:
            return default_value(option)
        try:
            return read_value(option, plain(node))
        except ValueError as error:
            self.problem(option.key, f"{self._path(option.key)}: {error}")
            return default_value(option)

    def each(self, option: Option) -> tuple[Any, ...]:
        """Return what a list holds under the option's key, or its only value; commas are part of a value."""
        node = self.node(option.key)
        items = node.value if node and isinstance(node.value, list) else [node] if node else []
        return tuple(value for item in items for value in self._item(option, item))

    def boolean(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        node = self.node(key)
        if node is None:
            return default
        if isinstance(node.value, bool):
            return node.value
        self._wrong(key, node, "true or false")
        return default

    def integer(self, key: str) -> int | None:
        """Return a whole number."""
        node = self.node(key)
        if node is None:
            return None
        if isinstance(node.value, int) and not isinstance(node.value, bool):
            return node.value
        self._wrong(key, node, "a whole number")
        return None

    def texts(self, key: str, known: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the texts of a list, each of which is one of ``known`` if that has any."""
        node = self.node(key)
        if node is None:
            return ()
        if not isinstance(node.value, list):
            self._wrong(key, node, "a list of texts")
            return ()
        names = list(known)
        return tuple(str(item.value) for item in node.value if self._is_entry(key, item, names))

    def choice(self, key: str, known: Iterable[str], default: str) -> str:
        """Return one of the texts in ``known``."""
        name = self.text(key)
        if name is None:
            return default
        return name if self._is_known(key, name, self.entries[key], list(known)) else default

    def _item(self, option: Option, item: Node) -> list[Any]:
        try:
            return [option.kind.read(plain(item))]
        except ValueError as error:
            what = f"{self._path(option.key)}: {error}"
            self._problems.append(Problem(f"{self._file}:{item.line}", what))
            return []

    def _path(self, key: str) -> str:
        return f"{self._name}.{key}" if self._name else key

    def problem(self, key: str, what: str) -> None:
        """Note what is wrong at ``key``, or with the mapping when it has no such key."""
        self._problems.append(Problem(self.where(key), what))

    def _is_entry(self, key: str, item: Node, known: list[str]) -> bool:
        if not isinstance(item.value, str):
            self._wrong(f"an entry of {key}", item, "text")
            return False
        return not known or self._is_known(key, item.value, item, known)

    def _is_known(self, key: str, name: str, node: Node, known: list[str]) -> bool:
        if name not in known:
            what = f"{key} has {shown(name)}, {_one_of(known, name)}"
            self._problems.append(Problem(f"{self._file}:{node.line}", what))
        return name in known

    def _wrong(self, key: str, node: Node, expected: str) -> None:
        what = f"{key} is {_described(node)}, expected {expected}"
        self._problems.append(Problem(f"{self._file}:{node.line}", what))

    def _refuse_unknown(self, known: list[str]) -> None:
        place = f" in {self._name}" if self._name else ""
        for key in self.entries if known else ():
            if key not in known:
                self.problem(key, f"unknown key {shown(key)}{place}, {_one_of(known, key)}")


def _one_of(known: list[str], name: str) -> str:
    return f"expected one of {', '.join(known)}{did_you_mean(nearest(name, known))}"


def shown(text: str) -> str:
    """Return ``text`` quoted and, when long, cut, as it stands in a message."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "...")


def _described(node: Node) -> str:
    match node.value:
        case None:
            return "empty"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case bool():
            return f"the boolean {str(node.value).lower()}"
        case str():
            return f"the text {shown(node.value)}"
    return f"the number {node.value}"
