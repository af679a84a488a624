"""Which nodes are meant: Alertmanager's matchers over what a node is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compose_agent.config.kinds import Detail
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.matchers import Matcher, parse_matchers
from fleet.manager.model import Node
from fleet.opamp.uid import uid_text

# Each by its name, and what it is.
LABELS = {
    "id": "the node id",
    "uid": "the instance uid",
    "role": "worker or manager",
    "tag": "each of the node's tags",
    "host": "the name of the Docker host",
    "address": "the IP address",
    "capacity": "how much work the node takes",
    "environment": "such as staging",
    "service": "the product, compose-agent for ours",
    "version": "the product's version",
    "state": "such as online",
}
_MANY = "tag"


@dataclass(frozen=True, slots=True)
class Selector:
    """All matchers must hold; without any every node is meant.

    One on ``tag`` holds when it does for any of a node's tags, a negative one when it does for all.
    """

    matchers: tuple[Matcher, ...] = ()

    def selects(self, node: Node) -> bool:
        """Tell whether a node is meant."""
        labels = labels_of(node)
        tags = node.description.tags if node.description else ()
        return all(_holds(each, labels, tags) for each in self.matchers)

    def __str__(self) -> str:
        return ", ".join(map(str, self.matchers))


def parse_selector(text: str) -> Selector:
    """Return the selector in a text such as ``role="worker", tag=~"eu.*"``; raises Detail with what is wrong.

    A label that no node has is refused: with a mistyped one a negative matcher would mean every node. So is
    a blank text: who means every node says so.
    """
    try:
        matchers = parse_matchers(text)
    except Detail:
        raise
    except ValueError as error:
        raise Detail(f"'{text}' is no selector: expected matchers such as role=\"worker\"") from error
    for each in matchers:
        if each.label not in LABELS:
            suggestion = did_you_mean(nearest(each.label, LABELS))
            raise Detail(f"nodes have no '{each.label}'{suggestion}; expected one of {', '.join(LABELS)}")
    return Selector(matchers)


def labels_of(node: Node) -> Mapping[str, str]:
    """Return what a node is, but for its tags; what is not known is empty."""
    told = node.description
    own = {"id": node.node_id, "uid": uid_text(node.uid), "state": node.state.value}
    if told is None:
        return own
    return own | {
        "role": told.role,
        "host": told.host,
        "address": told.address or node.peer_address,
        "capacity": "" if told.capacity is None else str(told.capacity),
        "environment": node.environment,
        "service": told.service,
        "version": told.version,
    }


def _holds(matcher: Matcher, labels: Mapping[str, str], tags: Iterable[str]) -> bool:
    if matcher.label != _MANY:
        return matcher.matches(labels)
    found = [matcher.matches({_MANY: each}) for each in tags] or [matcher.matches({})]
    return all(found) if matcher.operator.startswith("!") else any(found)
