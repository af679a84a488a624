"""The part of the fleet that exists for somebody: the nodes of the environments that they see.

Whoever answers a person or a program asks this rather than the registry. What is not seen is not there: it is
not found, not counted, and nothing is said of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from fleet.manager.model import Node, State
from fleet.manager.principal import Principal
from fleet.manager.registry import Registry

T = TypeVar("T")


class Sight:
    """The registry as ``principal`` sees it; the calls are those of the registry."""

    def __init__(self, registry: Registry, principal: Principal) -> None:
        self._registry = registry
        self._principal = principal
        self._whole = principal.environments is None

    def sees(self, node: Node) -> bool:
        """Tell whether there is such a node for them."""
        return self._principal.sees(node.environment)

    def read(self, work: Callable[[Iterable[Node]], T]) -> T:
        """Return what ``work`` makes of their nodes; it must be quick and keep none of them."""
        if self._whole:
            return self._registry.read(work)
        return self._registry.read(lambda nodes: work(filter(self.sees, nodes)))

    def find(self, name: str) -> list[Node]:
        """Return their nodes that are called so, by node id or uid."""
        return [node for node in self._registry.find(name) if self.sees(node)]

    def count(self) -> dict[State, int]:
        """Return how many of their nodes there are in each state."""
        if self._whole:
            return self._registry.count()
        found = self.read(lambda nodes: Counter(node.state for node in nodes))
        return {state: found[state] for state in State}

    def never_seen(self) -> list[str]:
        """Return the expected node ids with which no agent has come; they are in no environment yet."""
        return self._registry.never_seen() if self._whole else []
