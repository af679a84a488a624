"""All of a group run; who is ill leaves the group's network, so that nobody is sent to it, and comes back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from compose_agent.dockerd.verbs.model import Result
from remediation.failover.model import Attachment, Do, Group, Life, Member, Numbers, Step

# A step that failed is not repeated in a tight loop.
RETRY_SECONDS = 5.0


class ActiveState(msgspec.Struct):
    """How those were attached that were taken out, by container id, and the step that is under way."""

    detached: dict[str, Attachment] = {}
    asked: Step | None = None
    not_before: float = 0.0
    numbers: Numbers = msgspec.field(default_factory=Numbers)


def next_step(group: Group, state: ActiveState, members: Sequence[Member], now: float) -> Step | None:
    """Return the step to be carried out now, if any. The last one that is well never leaves."""
    if state.asked:
        return state.asked
    if any(each.life is Life.UNKNOWN for each in members):
        return None
    running = [each for each in members if each.life is Life.RUNNING]
    _forget(state, members)
    if now >= state.not_before:
        state.asked = _back(group, state, running) or _out(group, state, running)
    return state.asked


def ended(state: ActiveState, result: Result, now: float) -> None:
    """Take note of how the step that was asked for ended; what has come of it is seen at the next look."""
    state.asked = None
    if result is not Result.DONE:
        state.not_before = now + RETRY_SECONDS


def _forget(state: ActiveState, members: Sequence[Member]) -> None:
    """Forget those that are gone, and those that are attached again, by us or by somebody."""
    out = {each.id for each in members if each.attachment is None and each.life is not Life.GONE}
    state.detached = {key: each for key, each in state.detached.items() if key in out}


def _back(group: Group, state: ActiveState, running: Sequence[Member]) -> Step | None:
    for member in running:
        before = state.detached.get(member.id)
        if before and not member.ailing:
            reason = f"it is well again, and comes back to {group.name}"
            return state.numbers.step(Do.CONNECT, member, reason, before.arguments())
    return None


def _out(group: Group, state: ActiveState, running: Sequence[Member]) -> Step | None:
    well = [each for each in running if each.attachment and not each.ailing]
    for member in running:
        if member.ailing and member.attachment and well:
            state.detached[member.id] = member.attachment
            arguments = {"network": member.attachment.network}
            reason = f"it is ill, and others of {group.name} are well"
            return state.numbers.step(Do.DISCONNECT, member, reason, arguments)
    return None
