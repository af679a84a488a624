"""How many replicas a request asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from compose_agent.dockerd.verbs.contract import Refused
from compose_agent.labels import PREFIX

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


def resolved_count(arguments: Mapping[str, Any], now: int, labels: Mapping[str, str]) -> int:
    """Return the number that ``to`` (a number, ``min`` or ``max``) or ``by`` (a difference) means.

    It is held within the service's labels ``compose-agent.scale.min`` and ``.max``, or else the arguments of
    these names; a difference never leads the other way. Raises Refused.
    """
    bounds = {"min": 1, "max": MOST_REPLICAS} | {
        key: value for key in ("min", "max") if (value := _bound(arguments, labels, key)) is not None
    }
    least, most = bounds["min"], max(bounds["min"], bounds["max"])
    by, to = arguments.get("by"), arguments.get("to")
    if by is None:
        return max(least, min(most, bounds[to] if to in bounds else _count(arguments, "to", None)))
    if isinstance(by, bool) or not isinstance(by, int) or not by:
        raise Refused(f"'by' is to be a number of replicas more or fewer, not {by!r}")
    return max(now, min(most, now + by)) if by > 0 else min(now, max(least, now + by))


def _bound(arguments: Mapping[str, Any], labels: Mapping[str, str], key: str) -> int | None:
    label = f"{PREFIX}scale.{key}"
    if label in labels:
        text = labels[label].strip()
        return _count({label: int(text) if text.isdecimal() else text}, label, None)
    return _count(arguments, key, None) if arguments.get(key) is not None else None


def _count(arguments: Mapping[str, Any], name: str, default: int | None) -> int:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_REPLICAS:
        raise Refused(f"'{name}' is to be a number of replicas from 1 to {MOST_REPLICAS}, not {value!r}")
    return value
