"""Whether an action helped: judged by the world, again and again until it is clear or too late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compose_agent.dockerd.model import Container, parse_time
from remediation.actions import FAILOVER
from remediation.failover.model import Mode
from remediation.model import Intent, TargetKind
from remediation.policies.model import Verification
from remediation.world import World, is_well

# What is meant to stand still afterwards, and the state in which it does so by another action only.
_AT_REST = {"stop": "paused", "pause": "exited"}


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
        how = "at rest" if intent.action in _AT_REST else "well"
        return Verified(f"{intent.target.name} is {how} since {asked.holds:.0f} s")
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
    if words := _older(intent, containers, world):
        return words
    if intent.action == FAILOVER:
        words = _of_groups(containers, asked, world, now)
    else:
        words = _of_all(intent.action, containers, asked, now)
    if words:
        return words
    if now - intent.acted_at < asked.holds:
        return "it is too early to tell"
    return ""


def _older(intent: Intent, containers: Sequence[Container], world: World) -> str:
    """Return whose picture is from before the action, by the Engine's clock alone; empty when none is."""
    started = _started_by(intent)
    for each in containers:
        if each.id in world.behind or (each.started_at or 0.0) < started.get(each.id, 0.0):
            return f"{each.name} could not be looked at since"
    return ""


def _started_by(intent: Intent) -> dict[str, float]:
    """Return when the actor has seen containers start, by their ids."""
    pairs = zip(intent.facts.get("requests", ()), intent.facts.get("outcomes", ()), strict=False)
    times = {asked["target"]: parse_time(came["details"].get("started_at")) for asked, came in pairs}
    return {each: at for each, at in times.items() if at is not None}


def _of_all(action: str, containers: Sequence[Container], asked: Verification, now: float) -> str:
    if action in _AT_REST:
        moving = (each for each in containers if each.state in ("running", "restarting", _AT_REST[action]))
        return next((f"{each.name} is {each.state}" for each in moving), "")
    unwell = (_unwell(each, asked.holds, now) for each in containers)
    return next(filter(None, unwell), "")


def _of_groups(containers: Sequence[Container], asked: Verification, world: World, now: float) -> str:
    """Return what is not as it should be in the fail-over groups of containers."""
    names = {world.group_of(each) for each in containers} - {""}
    if not names:
        return "its fail-over group is gone"
    for group, members in (world.groups[name] for name in sorted(names)):
        running = [each for each in members if each.alive]
        if not running:
            return f"nobody of {group.name} runs"
        if group.mode is Mode.ACTIVE_PASSIVE and len(running) > 1:
            return f"{' and '.join(each.name for each in running)} run at the same time"
        unwell = [_unwell(each, asked.holds, now) for each in running]
        if all(unwell):
            return unwell[0]
    return ""


def _unwell(container: Container, holds: float, now: float) -> str:
    if not is_well(container):
        health = "" if container.health == "none" else f" and {container.health}"
        return f"{container.name} is {container.state}{health}"
    if container.started_at and now - container.started_at < holds:
        return f"{container.name} has run for {now - container.started_at:.0f} s only"
    return ""
