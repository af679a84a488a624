"""Choosing nodes by matchers in Alertmanager's syntax: ``role="worker", tag=~"eu|us"``. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from compose_agent.config.kinds import Detail
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.matchers import Matcher, parse_matchers
from fleet.manager.model import Node
from fleet.opamp.uid import uid_text

TAG = "tag"
LABELS = ("id", "uid", "host", "role", TAG, "environment", "capacity", "service", "version", "state")
_NEGATIVE = ("!=", "!~")


@dataclass(frozen=True, slots=True)
class Selector:
    """Matchers, all of which hold for a node that is meant; without any, every node is.

    A node has several tags: ``tag="eu"`` holds if one of them is that, ``tag!="eu"`` if none is.
    """

    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        return ", ".join(map(str, self.matchers))

    def __call__(self, node: Node) -> bool:
        """Tell whether a node is meant."""
        labels = labels_of(node)
        tags = node.description.tags if node.description else ()
        return all(
            _on_tags(each, tags) if each.label == TAG else each.matches(labels) for each in self.matchers
        )


def parse_selector(text: str) -> Selector:
    """Return the selector in a text, which may be blank; raises Detail."""
    if not text.strip():
        return Selector()
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


def labels_of(node: Node) -> dict[str, str]:
    """Return what matchers look at, without the tags."""
    told = node.description
    return {
        "id": node.node_id,
        "uid": uid_text(node.uid),
        "state": node.state.value,
        "host": told.host if told else "",
        "role": told.role if told else "",
        "environment": told.environment if told else "",
        "capacity": str(told.capacity) if told and told.capacity is not None else "",
        "service": told.service if told else "",
        "version": told.version if told else "",
    }


def _on_tags(matcher: Matcher, tags: Iterable[str]) -> bool:
    found = [matcher.matches({TAG: tag}) for tag in tags] or [matcher.matches({})]
    return all(found) if matcher.operator in _NEGATIVE else any(found)
