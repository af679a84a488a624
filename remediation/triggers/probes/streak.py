"""How often a probe has failed or succeeded in a row, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from remediation.triggers.probes.spec import ProbeSpec


@dataclass(slots=True)
class Streak:
    """``began`` is when the first of the failures in a row was seen (Unix seconds)."""

    failing: bool = False
    failures: int = 0
    successes: int = 0
    began: float = 0.0


def noted(streak: Streak, spec: ProbeSpec, now: float, *, ok: bool) -> bool:
    """Count one result; return whether the probe has begun to fail, or to be well again, with it."""
    if ok:
        streak.failures, streak.successes = 0, streak.successes + 1
    else:
        streak.began = now if not streak.failures else streak.began
        streak.failures, streak.successes = streak.failures + 1, 0
    enough = streak.successes >= spec.successes if streak.failing else streak.failures >= spec.failures
    streak.failing ^= enough
    return enough
