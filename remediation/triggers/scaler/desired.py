"""How many replicas a measurement asks for: the arithmetic of Kubernetes' HPA (replica_calculator.go)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TOLERANCE = 0.1
# Sums of decimal fractions come out a little above: 0.6 / 0.1 must not ask for seven.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica: its measurement, None when it is missing, and whether it serves yet."""

    value: float | None
    ready: bool = True


def by_average(
    current: int, replicas: Sequence[Replica], target: float, *, missing: float, tolerance: float = TOLERANCE
) -> int | None:
    """Return how many replicas bring their average to ``target``; None when nothing was measured.

    Replicas that are not ready are set aside, and count as idle when there are to be more. One without a
    measurement counts as using ``missing`` when there are to be fewer, and as idle when more. If that turns
    the direction, or leads within the tolerance, nothing changes.
    """
    values = [each.value for each in replicas if each.ready and each.value is not None]
    if not values:
        return None
    unready = sum(not each.ready for each in replicas)
    absent = sum(each.ready and each.value is None for each in replicas)
    ratio = _average(values) / target
    grows_beside_unready = unready > 0 and ratio > 1
    if not grows_beside_unready and not absent:
        return current if _within(ratio, tolerance) else _ceil(ratio * len(values))
    values += [missing if ratio < 1 else 0.0] * (absent if ratio != 1 else 0)
    values += [0.0] * (unready if grows_beside_unready else 0)
    return _tempered(current, values, target, ratio, tolerance)


def by_value(current: int, ready: int, value: float, target: float, tolerance: float = TOLERANCE) -> int:
    """Return how many replicas bring a value of the whole service to ``target``; ``ready`` serve now."""
    ratio = value / target
    return current if _within(ratio, tolerance) else _ceil(ratio * ready)


def _tempered(current: int, values: Sequence[float], target: float, before: float, tolerance: float) -> int:
    ratio = _average(values) / target
    turned = (before < 1 < ratio) or (ratio < 1 < before)
    if _within(ratio, tolerance) or turned:
        return current
    count = _ceil(ratio * len(values))
    backwards = (ratio < 1 and count > current) or (ratio > 1 and count < current)
    return current if backwards else count


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _within(ratio: float, tolerance: float) -> bool:
    return round(abs(1.0 - ratio), _DIGITS) <= tolerance


def _ceil(number: float) -> int:
    return math.ceil(round(number, _DIGITS))
