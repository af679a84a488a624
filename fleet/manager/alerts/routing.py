"""Which host an alert is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from fleet.envelopes.alert import CAPABILITY
from fleet.manager.desk import OWN_SERVICE
from fleet.manager.hosts import Owner
from fleet.manager.model import Node
from fleet.manager.sight import Sight

NODE_LABEL = "node_id"
# As the exporter names them; and as others do.
ID_LABELS = ("id", "container_id")
NAME_LABELS = ("name", "container_name", "container")
# How many of several hosts are named in a sentence.
_NAMED = 5


class Refused(ValueError):
    """Nobody can be given the alert; the message says why, and what helps."""


@dataclass(frozen=True, slots=True)
class Host:
    """The host that an alert goes to, as it is called now."""

    uid: bytes
    node_id: str
    environment: str


class Owners(Protocol):
    """Who has which container."""

    def with_id(self, container: str) -> list[Owner]:
        """Return the hosts that have a container with this id."""

    def with_name(self, name: str) -> list[Owner]:
        """Return the hosts that have a container of this name."""


def route(labels: Mapping[str, str], sight: Sight, owners: Owners) -> Host:
    """Return the host that owns the target of an alert with these labels; raises Refused.

    ``node_id`` says it, else the container's id, else its name where only one host has it. ``sight`` is that
    of who sends the alert: other hosts are none.
    """
    node = _by_node_id(labels, sight) or _by_container(labels, sight, owners)
    if not _takes_alerts(node):
        raise Refused(f"the agent of {node.node_id} takes no alerts, or has not come yet")
    if node.disabled:
        raise Refused(f"{node.node_id} is switched off at the manager")
    return Host(node.uid, node.node_id, node.environment)


def _takes_alerts(node: Node) -> bool:
    """Tell whether an agent hands alerts on; one of ours does that has not come since the manager began."""
    ours = node.description is not None and node.description.service == OWN_SERVICE
    return CAPABILITY in node.custom or (ours and not node.custom)


def _by_node_id(labels: Mapping[str, str], sight: Sight) -> Node | None:
    name = labels.get(NODE_LABEL, "")
    if not name:
        return None
    found = sight.find(name)
    if not found:
        raise Refused(f"there is no node {name}, which the label {NODE_LABEL} names")
    if len(found) > 1:
        what = f"{len(found)} agents have the node id {name}"
        raise Refused(f"{what}: give each host its own with agent.node-id")
    return found[0]


def _by_container(labels: Mapping[str, str], sight: Sight, owners: Owners) -> Node:
    if wanted := _first(labels, ID_LABELS):
        return _only(_nodes(owners.with_id(wanted), sight), f"a container with the id {wanted}")
    if wanted := _first(labels, NAME_LABELS):
        return _only(_nodes(owners.with_name(wanted), sight), f"a container with the name {wanted}")
    labelled = ", ".join((NODE_LABEL, *ID_LABELS, *NAME_LABELS))
    raise Refused(
        f"it has no label that names a host or a container ({labelled}): scrape what the manager's http_sd "
        f"lists, which has {NODE_LABEL}"
    )


def _first(labels: Mapping[str, str], names: Sequence[str]) -> str:
    return next((labels[name] for name in names if labels.get(name)), "")


def _nodes(found: Sequence[Owner], sight: Sight) -> list[Node]:
    wanted = {owner.uid for owner in found}
    return sight.read(lambda nodes: [node for node in nodes if node.uid in wanted])


def _only(found: Sequence[Node], what: str) -> Node:
    if not found:
        raise Refused(f"no host has {what}")
    if len(found) > 1:
        names = ", ".join(sorted(node.node_id for node in found)[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        which = f"{len(found)} hosts have {what} ({names}{more})"
        raise Refused(f"{which}: only the label {NODE_LABEL} tells which is meant")
    return found[0]
