"""What reading the parts of a policy has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from compose_agent.config import Option
from compose_agent.config.fields import Fields
from compose_agent.config.yamlfile import Node
from compose_agent.errors import Problem


@dataclass(frozen=True, slots=True)
class Reading:
    """A file that is being read, with what is found to be wrong in it."""

    file: str
    problems: list[Problem] = field(default_factory=list)

    def fields(self, node: Node | None, path: str, options: Mapping[str, Option]) -> Fields:
        """Return a mapping that may have the keys of ``options``; ``path`` stands in problems."""
        return Fields(node, path, self.file, options, self.problems)

    def named(self, node: Node | None, path: str) -> Fields:
        """Return a mapping that may have any keys."""
        return Fields(node, path, self.file, (), self.problems)

    def texts(self, fields: Fields, path: str, key: str, known: tuple[str, ...] = ()) -> Mapping[str, str]:
        """Return a mapping of texts below ``key``, with keys among ``known`` if that has any."""
        path = f"{path}.{key}"
        below = Fields(fields.node(key), path, self.file, known, self.problems)
        names = [name for name in below.entries if not known or name in known]
        for name in names:
            if below.node(name) is None:
                below.problem(name, f"{path}.{name} is empty, expected a text")
        return MappingProxyType({name: below.text(name) or "" for name in names})


def values_of(fields: Fields, options: Mapping[str, Option]) -> dict[str, Any]:
    """Return the value of each option by its key."""
    return {key: fields.option(option) for key, option in options.items()}


def items_of(node: Node | None) -> list[Node]:
    """Return what a list holds, or the only value in its place."""
    if node is None:
        return []
    return node.value if isinstance(node.value, list) else [node]


def spelt_out(node: Node | None, key: str) -> Node | None:
    """Return the mapping for which a text alone stands as the value of ``key``."""
    return Node({key: node}, node.line) if node and isinstance(node.value, str) else node
