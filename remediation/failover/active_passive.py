"""One of a group runs; when it fails another takes over, and never before the first one stands still."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec

from compose_agent.dockerd.verbs.model import Result
from remediation.failover.model import Attachment, Do, Group, Life, Member, Numbers, Role, Step

# A step that failed is not repeated in a tight loop.
RETRY_SECONDS = 5.0
# Whoever took over is given this long before it may lose its place again: two that are ill must not take
# turns all night.
COOL_SECONDS = 60.0


class Phase(StrEnum):
    """Where a switch is."""

    STEADY = "steady"
    FENCING = "fencing"  # all are stopped, until none runs
    STARTING = "starting"  # the new one is prepared and started


class PassiveState(msgspec.Struct):
    """What is known of a group between steps. ``active`` and ``to`` are names of members."""

    phase: Phase = Phase.STEADY
    active: str = ""
    to: str = ""
    tried: list[str] = []  # in this switch, and without success
    attachments: dict[str, Attachment] = {}  # as they were before an alias was added
    asked: Step | None = None
    not_before: float = 0.0
    switched_at: float = 0.0
    numbers: Numbers = msgspec.field(default_factory=Numbers)


def next_step(group: Group, state: PassiveState, members: Sequence[Member], now: float) -> Step | None:
    """Return the step to be carried out now, if any; while a member cannot be seen, nothing is begun."""
    if any(each.life is Life.UNKNOWN for each in members):
        return None
    running = [each for each in members if each.life is Life.RUNNING]
    if state.asked:
        if not _is_overtaken(state.asked, running):
            return state.asked
        state.asked, state.phase = None, Phase.STARTING
    if now < state.not_before:
        return None
    state.asked = _step(group, state, members, running, now)
    return state.asked


def give_way(state: PassiveState, members: Sequence[Member], names: Collection[str]) -> str:
    """Begin a switch away from one of these, though it may be well; return why there is none, if so."""
    running = [each for each in members if each.life is Life.RUNNING]
    active = _active(state, running) if running else _find(members, state.active)
    if active is None or active.name not in names:
        return (
            f"{active.name if active else 'nobody'} has the place that {', '.join(sorted(names))} is to leave"
        )
    if state.phase is not Phase.STEADY or _candidate(state, members, active.name) is None:
        return f"there is nobody else who could take the place of {active.name}"
    state.phase, state.active, state.to, state.tried = Phase.FENCING, active.name, "", [active.name]
    return ""


def ended(state: PassiveState, result: Result, now: float) -> None:
    """Take note of how the step that was asked for ended."""
    step, state.asked = state.asked, None
    if step is None or result is Result.DONE:
        if step and step.do is Do.START:
            _arrive(state, step.member, now)
        return
    state.not_before = now + RETRY_SECONDS
    if step.do is not Do.STOP:
        # It may have come up all the same: whoever runs is stopped before the next one is tried.
        state.phase = Phase.FENCING
        state.tried = [*state.tried, state.to]
        state.to = ""


def _is_overtaken(asked: Step, running: Sequence[Member]) -> bool:
    """Tell whether a start may no longer be sent, since somebody has started another one meanwhile."""
    return asked.do is Do.START and any(each.name != asked.member for each in running)


def _step(
    group: Group, state: PassiveState, members: Sequence[Member], running: Sequence[Member], now: float
) -> Step | None:
    if state.phase is Phase.STEADY:
        extra = _steady(state, members, running, now)
        if extra:
            return state.numbers.step(Do.STOP, extra, f"only one of {group.name} may run")
    if state.phase is Phase.FENCING:
        if running:
            return state.numbers.step(Do.STOP, running[0], f"another of {group.name} takes over")
        state.phase = Phase.STARTING
    return _starting(group, state, members, running, now) if state.phase is Phase.STARTING else None


def _steady(
    state: PassiveState, members: Sequence[Member], running: Sequence[Member], now: float
) -> Member | None:
    """Return one that runs and should not; begin a switch when the active one has failed."""
    active = _active(state, running) if running else _find(members, state.active)
    if active is None:
        return None
    state.active = active.name
    others = [each for each in running if each.name != active.name]
    if others:
        return others[0]
    failed = active.life is Life.DIED or (active.life is Life.RUNNING and active.ailing)
    if failed and now - state.switched_at >= COOL_SECONDS and _candidate(state, members, active.name):
        state.phase, state.to, state.tried = Phase.FENCING, "", [active.name]
    return None


def _active(state: PassiveState, running: Sequence[Member]) -> Member:
    """Return who of those that run keeps its place: who has it, or the primary, or the first by name."""
    return min(
        running, key=lambda each: (each.name != state.active, each.role is not Role.PRIMARY, each.name)
    )


def _starting(
    group: Group, state: PassiveState, members: Sequence[Member], running: Sequence[Member], now: float
) -> Step | None:
    if running:
        # Nothing of ours starts anybody before this: somebody did, and it is told apart as in peace.
        _arrive(state, _active(state, running).name, now)
        return None
    chosen = _find(members, state.to) or _candidate(state, members, "")
    if chosen is None or chosen.life is Life.GONE:
        state.tried, state.to, state.not_before = [], "", now + RETRY_SECONDS
        return None
    state.to = chosen.name
    return _attaching(group, state, chosen) or state.numbers.step(
        Do.START, chosen, f"it takes over in {group.name}"
    )


def _attaching(group: Group, state: PassiveState, chosen: Member) -> Step | None:
    """Return the step that gives the new one the group's alias, while nobody runs; None when it has it."""
    has = chosen.attachment
    if not group.alias or not group.network or (has and group.alias in has.aliases):
        return None
    reason = f"it is to be found as {group.alias}"
    if has:
        state.attachments[chosen.name] = has
        return state.numbers.step(Do.DISCONNECT, chosen, reason, {"network": has.network})
    before = state.attachments.get(chosen.name, Attachment(group.network))
    wanted = msgspec.structs.replace(before, aliases=(*before.aliases, group.alias))
    return state.numbers.step(Do.CONNECT, chosen, reason, wanted.arguments())


def _candidate(state: PassiveState, members: Sequence[Member], but: str) -> Member | None:
    """Return who is tried next: one that was not tried, rather one that was stopped than one that died."""
    left = [
        each
        for each in members
        if each.name not in state.tried and each.name != but and each.life is not Life.GONE
    ]
    left.sort(key=lambda each: (each.life is Life.DIED, each.role is not Role.PRIMARY, each.name))
    return left[0] if left else None


def _arrive(state: PassiveState, name: str, now: float) -> None:
    state.phase, state.active, state.to, state.tried = Phase.STEADY, name, "", []
    state.switched_at = now


def _find(members: Sequence[Member], name: str) -> Member | None:
    return next((each for each in members if each.name == name), None)
