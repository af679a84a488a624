"""The documents of the API about nodes, as types: what they hold is described by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fleet.manager.model import Health
from fleet.manager.rows import Row
from fleet.opamp.attributes import Plain


@dataclass(frozen=True, slots=True)
class Nodes:
    """A part of the nodes; ``total`` is how many match, ``states`` how many are in each state."""

    total: int
    states: Mapping[str, int]
    nodes: Sequence[Row]


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a node's state; ``at`` is Unix time."""

    at: float
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeDetails(Row):
    """Everything of one node, its line first; ``effective_config`` has the text of each file."""

    first_heard: float
    capabilities: int
    attributes: Mapping[str, Plain]
    listeners: Mapping[str, str]
    health: Health | None
    effective_config: Mapping[str, str]
    history: Sequence[Change]


@dataclass(frozen=True, slots=True)
class TargetGroup:
    """Targets with their labels, as Prometheus' http_sd has them."""

    targets: Sequence[str]
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """A node id that several agents have, and their uids."""

    error: str
    uids: Sequence[str]
