"""One action as people read it, in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping

from compose_agent.dockerd.overview import words
from remediation.history import ActionRow
from remediation.model import State
from remediation.reasons import meaning

_LEVELS: Mapping[str, words.Level] = {
    State.PLANNED: "warn",
    State.EXECUTING: "warn",
    State.VERIFYING: "warn",
    State.DONE: "ok",
    State.FAILED: "bad",
    State.ESCALATED: "bad",
    State.SUPPRESSED: "idle",
}


def level(row: ActionRow) -> words.Level:
    """Return how much an action needs a person, by its state."""
    return _LEVELS.get(row.state, "warn")


def took(row: ActionRow) -> str:
    """Return how long it took from the beginning to the end of the action itself."""
    return words.duration(row.acted_at - row.started_at) if row.started_at and row.acted_at else words.DASH


def because(row: ActionRow) -> str:
    """Return the reason in words, or what is known of the outcome."""
    reason = meaning(row.reason).words if row.reason else ""
    return ": ".join(filter(None, (reason, row.detail)))


def latest(row: ActionRow) -> float:
    """Return when something was last written down about it, Unix seconds."""
    return max(row.created_at, row.started_at, row.acted_at, row.ended_at)


def target_name(row: ActionRow) -> str:
    """Return the target's name without its kind."""
    return row.target.partition(":")[2]
