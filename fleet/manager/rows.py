"""Nodes as they are listed: which, in what order, and what is said of each. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from fleet.envelopes.host import Load
from fleet.manager.model import Health, Node, State
from fleet.opamp.uid import uid_text

# The worst first, as somebody looks for it.
_BY_URGENCY = (State.DUPLICATE, State.OFFLINE, State.LATE, State.NEVER_SEEN, State.DISABLED, State.ONLINE)
_RANK = {state: rank for rank, state in enumerate(_BY_URGENCY)}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table of nodes; times are Unix time, 0 for never. ``problem`` is that of its health."""

    node_id: str
    uid: str
    host: str
    address: str
    role: str
    environment: str
    service: str
    version: str
    tags: tuple[str, ...]
    capacity: int | None
    state: str
    reason: str
    since: float
    last_heard: float
    interval: float
    transport: str
    healthy: bool | None
    problem: str
    load: Load | None

    def document(self) -> dict[str, Any]:
        """Return it as the API gives it."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which nodes are meant: a state, words that stand somewhere in what is shown, a part of the list."""

    state: str = ""
    text: str = ""
    order: str = "state"
    offset: int = 0
    limit: int = 200

    def page(self, nodes: Iterable[Node], expected: Sequence[str] = ()) -> tuple[int, list[Row]]:
        """Return how many there are, and the rows of this part."""
        words = self.text.casefold().split()
        key = ORDERS.get(self.order, ORDERS["state"])
        found = [node for node in nodes if self._is_meant(node, words)]
        found.sort(key=key)
        missing = [name for name in expected if self._misses(name, words)]
        part = found[self.offset : self.offset + self.limit]
        rows = [row_of(node) for node in part]
        if not self.offset:
            rows = [_missing(name) for name in missing] + rows
        return len(found) + len(missing), rows

    def _is_meant(self, node: Node, words: Sequence[str]) -> bool:
        if self.state and node.state != self.state:
            return False
        if not words:
            return True
        shown = _searched(node)
        return all(word in shown for word in words)

    def _misses(self, name: str, words: Sequence[str]) -> bool:
        return self.state in {"", State.NEVER_SEEN} and all(word in name.casefold() for word in words)


class Order(StrEnum):
    """What a list of nodes begins with."""

    STATE = "state"  # the worst
    NODE = "node"
    HOST = "host"
    HEARD = "heard"  # the latest
    LOAD = "load"  # the busiest


ORDERS: dict[str, Callable[[Node], Any]] = {
    Order.STATE: lambda node: (_RANK[node.state], node.node_id),
    Order.NODE: lambda node: node.node_id,
    Order.HOST: lambda node: (node.description.host if node.description else "", node.node_id),
    Order.HEARD: lambda node: (-node.last_heard, node.node_id),
    Order.LOAD: lambda node: (-_busy(node), node.node_id),
}


def row_of(node: Node) -> Row:
    """Return a node's line."""
    told = node.description
    return Row(
        node_id=node.node_id,
        uid=uid_text(node.uid),
        host=told.host if told else "",
        address=(told.address if told else "") or node.peer_address,
        role=told.role if told else "",
        environment=told.environment if told else "",
        service=told.service if told else "",
        version=told.version if told else "",
        tags=told.tags if told else (),
        capacity=told.capacity if told else None,
        state=node.state.value,
        reason=node.reason,
        since=node.since,
        last_heard=node.last_heard,
        interval=node.interval,
        transport=node.transport,
        healthy=node.health.healthy if node.health else None,
        problem=problem_of(node.health) if node.health else "",
        load=node.load,
    )


def problem_of(health: Health) -> str:
    """Return the first thing that is wrong in a tree of health, empty when nothing is."""
    for name, part in health.parts.items():
        if not part.healthy:
            return f"{name}: {problem_of(part) or part.error or part.status or 'not healthy'}"
    return "" if health.healthy else health.error or health.status or "not healthy"


def _busy(node: Node) -> float:
    """Return the load for each processor, less than any when it is unknown."""
    return node.load.load1 / max(1, node.load.processors) if node.load else -1.0


def _missing(name: str) -> Row:
    reason = "expected, but no agent has come with this node id"
    return Row(
        name, "", "", "", "", "", "", "", (), None, State.NEVER_SEEN, reason, 0, 0, 0, "", None, "", None
    )


def _searched(node: Node) -> str:
    told = node.description
    parts = [node.node_id, node.peer_address, node.state]
    if told:
        parts += [
            told.host,
            told.address,
            told.role,
            told.environment,
            told.service,
            told.version,
            *told.tags,
        ]
    return " ".join(parts).casefold()
