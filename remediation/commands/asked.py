"""What is asked for by a command, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from compose_agent.boottime import Moment
from compose_agent.dockerd.verbs.model import Result
from compose_agent.dockerd.verbs.pursuit import LATE
from remediation.actions import ACTIONS
from remediation.arguments import MOST_REPLICAS, MOST_WORD
from remediation.commands.policies import NAMES
from remediation.model import Intent, Reason, State, Target, TargetKind
from remediation.reasons import meaning

FREEZE, THAW = "freeze", "thaw"
_LONGEST_TEXT = 1024


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command. ``target`` is a container's name, or ``project/service``; of a freeze it is empty.

    ``arguments`` are the action's, as a policy file would have them. ``by`` is who asks. Nothing is begun
    after ``begin_by``, of this host's clock.
    """

    id: str
    action: str
    target: str = ""
    arguments: dict[str, str] = {}
    by: str
    why: str = ""
    dry_run: bool = False
    begin_by: Moment
    traceparent: str = ""

    def __post_init__(self) -> None:
        """Refuse what is too long to be a name."""
        if not self.id or any(
            len(each) > _LONGEST_TEXT for each in (self.id, self.target, self.by, self.why)
        ):
            raise ValueError(f"expected an id, and texts of at most {_LONGEST_TEXT} characters")


class Stage(StrEnum):
    """How far a command is; the last five are ends."""

    WAITS = "waits"
    RUNS = "runs"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    EXPIRED = "expired"
    UNKNOWN = "unknown"  # nothing tells whether it was done, so it is not done again


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a command stands; ``intent`` is the id by which ``actions`` and ``why`` know it."""

    stage: Stage
    detail: str = ""
    intent: str = ""
    details: dict[str, Any] = {}


def target_of(asked: Asked) -> Target:
    """Return what a command is about; ValueError for what its action cannot be done to."""
    action = ACTIONS.get(asked.action)
    if action is None or asked.action not in NAMES:
        raise ValueError(f"there is no command '{asked.action}', only {', '.join((*NAMES, FREEZE, THAW))}")
    kind = TargetKind.SERVICE if "/" in asked.target else TargetKind.CONTAINER
    if action.targets == (TargetKind.SWARM_SERVICE,):
        kind = TargetKind.SWARM_SERVICE
    if kind not in action.targets:
        wanted = "project/service" if TargetKind.SERVICE in action.targets else "a container's name"
        raise ValueError(f"{asked.action} is for {wanted}, not for '{asked.target}'")
    if not asked.target or not asked.target.isprintable():
        raise ValueError(f"{asked.action} needs a target")
    return Target(kind, asked.target)


def arguments_of(asked: Asked) -> Mapping[str, Any]:
    """Return the arguments as the action takes them; ValueError says what is wrong."""
    action = ACTIONS[asked.action]
    keys = {option.key: option for option in action.keys}
    given = dict(asked.arguments)
    if unknown := sorted(given.keys() - keys.keys()):
        known = f"only {', '.join(keys)}" if keys else "none at all"
        raise ValueError(f"{asked.action} has no argument {unknown[0]}, {known}")
    if MOST_WORD in keys:  # a person says how many; labels of the service still bound it
        given.setdefault(MOST_WORD, str(MOST_REPLICAS))
    if missing := [key for key in action.required if key not in given]:
        raise ValueError(f"{asked.action} needs {missing[0]}")
    values = {}
    for key, option in keys.items():
        text = given.get(key, option.default)
        try:
            values[key] = None if text is None else option.kind.parse(text)
        except ValueError as error:
            raise ValueError(f"{key}: expected {option.kind.expected}, not '{text}'") from error
    if what := action.against(values):
        raise ValueError(f"{asked.action}: {what}")
    return {key: value for key, value in values.items() if value is not None}


def standing_of(intent: Intent) -> Standing:
    """Return how the command stands that an intent was made for."""
    outcomes = intent.facts.get("outcomes", [])
    last: dict[str, Any] = outcomes[-1] if outcomes else {}
    details = dict(last.get("details", {}))
    return Standing(
        stage=_stage(intent, last, details), detail=_detail(intent), intent=intent.id, details=details
    )


_STAGES = {
    State.PLANNED: Stage.WAITS,
    State.EXECUTING: Stage.RUNS,
    State.VERIFYING: Stage.RUNS,
    State.DONE: Stage.DONE,
}
# Of what the guard has ended; whatever else it says is a refusal.
_SUPPRESSED = {Reason.EXPIRED: Stage.EXPIRED, Reason.DRY_RUN: Stage.DONE, Reason.NO_CHANGE: Stage.DONE}


def _stage(intent: Intent, last: Mapping[str, Any], details: Mapping[str, Any]) -> Stage:
    if intent.state is State.SUPPRESSED:
        return Stage.EXPIRED if details.get(LATE) else _SUPPRESSED.get(Reason(intent.reason), Stage.REFUSED)
    failed = Stage.UNKNOWN if last.get("result") == Result.UNKNOWN else Stage.FAILED
    return _STAGES.get(intent.state, failed)


def _detail(intent: Intent) -> str:
    if not intent.reason:
        return intent.detail
    said = f": {intent.detail}" if intent.detail else ""
    return f"{meaning(intent.reason).words}{said}"
