"""Whether an action helped: judged by the world, again and again until it is clear or too late."""

from __future__ import annotations

from dataclasses import dataclass

from compose_agent.dockerd.model import Container
from remediation.model import Intent, TargetKind
from remediation.policies.model import Verification
from remediation.world import World, is_well


@dataclass(frozen=True, slots=True)
class Verified:
    """It helped."""

    detail: str


@dataclass(frozen=True, slots=True)
class NotYet:
    """It cannot be told yet; ``detail`` says what is missing."""

    detail: str


@dataclass(frozen=True, slots=True)
class Missed:
    """It did not help in time."""

    detail: str


Verdict = Verified | NotYet | Missed


def verify(
    intent: Intent, asked: Verification, world: World, now: float, *, resolved: bool, query: bool | None
) -> Verdict:
    """Judge an action: the target is well for a while, and what else was asked for holds.

    ``resolved`` says whether the signal has; ``query`` what the PromQL said, None if nobody could be asked.
    """
    missing = world.engine_error or _missing(intent, asked, world, now)
    if not missing and asked.resolved and not resolved:
        missing = "the alert has not resolved"
    if not missing and asked.query and not query:
        missing = "the query could not be asked" if query is None else "the query says it does not hold"
    if not missing:
        return Verified(f"{intent.target.name} is well since {asked.holds:.0f} s")
    if now - intent.acted_at > asked.within:
        return Missed(f"{missing}, {asked.within:.0f} s after the action")
    return NotYet(missing)


def _missing(intent: Intent, asked: Verification, world: World, now: float) -> str:
    """Return what is not as it should be, empty if all is."""
    containers = world.affected(intent.target)
    if intent.target.kind is TargetKind.SWARM_SERVICE:
        return "" if now - intent.acted_at >= asked.holds else "it is too early to tell"
    if not containers:
        return f"{intent.target.name} is gone"
    for each in containers:
        if words := _unwell(each, asked.holds, now):
            return words
    if now - intent.acted_at < asked.holds:
        return "it is too early to tell"
    return ""


def _unwell(container: Container, holds: float, now: float) -> str:
    if not is_well(container):
        health = "" if container.health == "none" else f" and {container.health}"
        return f"{container.name} is {container.state}{health}"
    if container.started_at and now - container.started_at < holds:
        return f"{container.name} has run for {now - container.started_at:.0f} s only"
    return ""
