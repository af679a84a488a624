"""How many replicas a request asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from compose_agent.dockerd.verbs.contract import Refused

# More replicas of one service are a mistake on one host, and each costs a network address.
MOST_REPLICAS = 500


def wanted_count(arguments: Mapping[str, Any], others: Collection[str] = ()) -> int:
    """Return the argument ``to``; raises Refused unless it lies within the caller's ``min`` and ``max``.

    ``others`` are the further arguments of the verb; any argument beside these is refused, too.
    """
    known = ("to", "min", "max", *others)
    if unknown := sorted(set(arguments) - set(known)):
        raise Refused(f"'{unknown[0]}' is no argument of this verb, which has {', '.join(known)}")
    to = _count(arguments, "to", None)
    least, most = _count(arguments, "min", 1), _count(arguments, "max", MOST_REPLICAS)
    if not least <= to <= most:
        raise Refused(f"{to} replicas are not within the bounds of {least} to {most}")
    return to


def _count(arguments: Mapping[str, Any], name: str, default: int | None) -> int:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_REPLICAS:
        raise Refused(f"'{name}' is to be a number of replicas from 1 to {MOST_REPLICAS}, not {value!r}")
    return value
