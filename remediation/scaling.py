"""How many replicas a service is to have: always an absolute number, so that asking again changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from compose_agent.dockerd.model import Container
from remediation.arguments import DEFAULT_LEAST, DEFAULT_MOST, LEAST_WORD, MOST_REPLICAS, MOST_WORD

_LABEL = "compose-agent.scale."


def wanted_replicas(arguments: Mapping[str, Any], replicas: Sequence[Container]) -> int:
    """Return what an action's arguments (``to`` or ``by``, ``min``, ``max``) come to for a service.

    The bounds on the service's own labels go before those of the policy: its owner knows it best.
    """
    least = _bound(LEAST_WORD, arguments, replicas, DEFAULT_LEAST)
    most = max(least, _bound(MOST_WORD, arguments, replicas, DEFAULT_MOST))
    words = {LEAST_WORD: least, MOST_WORD: most}
    to = arguments.get("to")
    wanted = (
        words[to] if to in words else to if to is not None else len(replicas) + int(arguments.get("by", 0))
    )
    return min(max(int(wanted), least), most)


def _bound(word: str, arguments: Mapping[str, Any], replicas: Sequence[Container], otherwise: int) -> int:
    # Replicas that were made at different times may differ; the newest says what is meant now.
    for each in sorted(replicas, key=lambda container: container.created_at or 0.0, reverse=True):
        label = each.labels.get(_LABEL + word, "")
        if label.isascii() and label.isdigit() and 1 <= int(label) <= MOST_REPLICAS:
            return int(label)
    return int(arguments.get(word, otherwise))
