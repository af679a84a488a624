"""When what goes wrong, from a seed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

# Between a restart and the next kill: what Docker rotates away meanwhile only a process that runs can save.
_SHORTEST_LIFE_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 1.0
# Before the first disturbance and after the last one everything runs.
_CALM_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL of the forwarder after ``at`` seconds; it is started again ``pause`` seconds later."""

    at: float
    pause: float


@dataclass(frozen=True, slots=True)
class Outage:
    """The sink is gone from ``at`` for ``seconds``; ``how`` is one of the ways that the sink offers."""

    at: float
    seconds: float
    how: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Disturbances in the order of their time, and for how long lines are written."""

    kills: Sequence[Kill]
    outages: Sequence[Outage]
    seconds: float


@dataclass(frozen=True, slots=True)
class Scale:
    """How much goes wrong; ``least_seconds`` is for how long lines are written at least."""

    kills: int = 20
    outages: int = 10
    longest_outage: float = 30.0
    calm_between: float = 6.0
    least_seconds: float = 60.0


def make_plan(seed: int, scale: Scale, ways: Sequence[str]) -> Plan:
    """Return the same plan for the same seed; no outages where the sink offers no way to have one."""
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    outages = _outages(dice, scale, ways) if ways else []
    end = max([scale.least_seconds, *(each.at + each.seconds for each in outages)])
    return Plan(_kills(dice, scale.kills, end), outages, end + _CALM_SECONDS)


def _outages(dice: random.Random, scale: Scale, ways: Sequence[str]) -> list[Outage]:
    # Short ones are the more frequent; one is as long as any may be. Every way gets its turn.
    lengths = [scale.longest_outage * dice.random() ** 2 for _ in range(scale.outages - 1)]
    lengths.insert(dice.randrange(len(lengths) + 1), scale.longest_outage)
    chosen = [ways[number % len(ways)] for number in range(scale.outages)]
    dice.shuffle(chosen)
    outages: list[Outage] = []
    now = _CALM_SECONDS
    for how, seconds in zip(chosen, lengths[: scale.outages], strict=True):
        now += dice.uniform(0.3, 1) * scale.calm_between
        outages.append(Outage(now, seconds, how))
        now += seconds
    return outages


def _kills(dice: random.Random, count: int, end: float) -> list[Kill]:
    kills: list[Kill] = []
    for wanted in sorted(dice.uniform(_CALM_SECONDS, end) for _ in range(count)):
        at = max(wanted, kills[-1].at + kills[-1].pause + _SHORTEST_LIFE_SECONDS) if kills else wanted
        kills.append(Kill(at, dice.uniform(0, _LONGEST_PAUSE_SECONDS)))
    return kills
