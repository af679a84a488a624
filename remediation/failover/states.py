"""What is known of a group between its steps, in the journal."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from compose_agent.dockerd.verbs.model import Result
from compose_agent.typed import convert, from_json
from remediation.failover import active_active, active_passive
from remediation.failover.active_active import ActiveState
from remediation.failover.active_passive import PassiveState
from remediation.failover.model import Group, Member, Mode, Step
from remediation.journal import Tx, View

State: TypeAlias = PassiveState | ActiveState

_FLAG = "failover"
_KINDS: dict[Mode, type[PassiveState | ActiveState]] = {
    Mode.ACTIVE_PASSIVE: PassiveState,
    Mode.ACTIVE_ACTIVE: ActiveState,
}


def read_state(view: View, group: Group) -> State:
    """Return what is known of a group, which is nothing at first."""
    said = view.flag(_name(group))
    kind = _KINDS[group.mode]
    return from_json(said, kind) if said else kind()


def write_state(tx: Tx, group: Group, state: State) -> None:
    """Write down what is known of a group."""
    tx.set_flag(_name(group), msgspec.json.encode(state).decode())


def forget(tx: Tx, kept: set[str]) -> None:
    """Forget every group but those of these names."""
    for name in tx.flags(f"{_FLAG}:"):
        if name.split(":", 2)[2] not in kept:
            tx.set_flag(name, None)


def known(view: View) -> set[str]:
    """Return the names of all groups of which something is known."""
    return {name.split(":", 2)[2] for name in view.flags(f"{_FLAG}:")}


def copied(state: State) -> State:
    """Return another one that says the same."""
    return convert(msgspec.to_builtins(state), type(state))


def next_step(group: Group, state: State, members: list[Member], now: float) -> Step | None:
    """Return the step to be carried out now, without the pause after one that failed.

    That pause is the guard's to make, which knows more about pauses.
    """
    now = max(now, state.not_before)
    if isinstance(state, PassiveState):
        return active_passive.next_step(group, state, members, now)
    return active_active.next_step(group, state, members, now)


def ended(state: State, result: Result, now: float) -> None:
    """Take note of how the step that was asked for ended."""
    if isinstance(state, PassiveState):
        active_passive.ended(state, result, now)
    else:
        active_active.ended(state, result, now)


def _name(group: Group) -> str:
    return f"{_FLAG}:{group.mode}:{group.name}"
