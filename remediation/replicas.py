"""How many replicas a scale action means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.labels import PREFIX
from remediation.arguments import LEAST_WORD, MOST_REPLICAS, MOST_WORD
from remediation.labels import labels_of

_LEAST_KEY, _MOST_KEY = "scale.min", "scale.max"


def scale_bounds(labels: Mapping[str, str], arguments: Mapping[str, Any]) -> tuple[int, int]:
    """Return the fewest and the most replicas of a service: by its containers' labels, or else the policy.

    Where both do not fit together the policy's gives way. Raises ValueError when the labels cannot be used.
    """
    own = {key: text for key, text in labels.items() if key in (PREFIX + _LEAST_KEY, PREFIX + _MOST_KEY)}
    values, problems = labels_of(own)
    for key, what in problems.items():
        raise ValueError(f"label {PREFIX}{key}: {what}")
    least, most = values.get(_LEAST_KEY), values.get(_MOST_KEY)
    if least and most and least > most:
        raise ValueError(f"label {PREFIX}{_LEAST_KEY} {least} is more than {PREFIX}{_MOST_KEY} {most}")
    least = least or min(arguments[LEAST_WORD], most or MOST_REPLICAS)
    return least, most or max(arguments[MOST_WORD], least)


def replicas_wanted(now: int, labels: Mapping[str, str], arguments: Mapping[str, Any]) -> int:
    """Return how many replicas a scale action means for a service that has ``now``.

    The number is absolute, so that asking again asks for the same. A difference never leads the other way:
    a service that a person gave more than the most keeps them when it is to have one more. Raises ValueError
    as :func:`scale_bounds` does.
    """
    least, most = scale_bounds(labels, arguments)
    to, by = arguments.get("to"), arguments.get("by")
    if by is None:
        return max(least, min(most, _absolute(to, least, most)))
    return max(now, min(most, now + int(by))) if by > 0 else min(now, max(least, now + int(by)))


def _absolute(to: object, least: int, most: int) -> int:
    if to == LEAST_WORD:
        return least
    return most if to == MOST_WORD else int(str(to))
