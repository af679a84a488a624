"""How a policy says what it does: an action, and those that follow when it does not help."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from compose_agent.config.fields import Fields
from compose_agent.config.nearest import did_you_mean, nearest
from remediation.actions import ACTIONS, Action
from remediation.model import TargetKind
from remediation.policies.keys import STEP
from remediation.policies.model import Step
from remediation.policies.reading import Reading, items_of, spelt_out, values_of


def read_ladder(reading: Reading, path: str, fields: Fields, kind: TargetKind) -> tuple[Step, ...]:
    """Return the steps of the policy ``fields`` for targets of a kind, without those that are wrong."""
    rungs = [(path, fields)]
    for number, node in enumerate(items_of(fields.node("escalate")), start=1):
        rung = f"{path}.escalate[{number}]"
        below = reading.fields(spelt_out(node, "action"), rung, STEP)
        if isinstance(node.value, str | dict):  # else that has been said
            rungs.append((rung, below))
    steps = [_step(reading, rung, below, kind) for rung, below in rungs]
    return tuple(step for step in steps if step)


def _step(reading: Reading, path: str, fields: Fields, kind: TargetKind) -> Step | None:
    if fields.node("action") is None:
        fields.problem("action", f"{path} has no action, expected one of {', '.join(ACTIONS)}")
        return None
    name = fields.option(STEP["action"])
    if name is None:
        return None
    action = ACTIONS[name]
    if kind not in action.targets:
        fields.problem("action", f"{path}.action: {_wrong_target(action, kind)}")
        return None
    return Step(name, _arguments(reading, f"{path}.with", fields, action))


def _arguments(reading: Reading, path: str, fields: Fields, action: Action) -> Mapping[str, Any]:
    node = fields.node("with")
    if node and not action.keys:
        fields.problem("with", f"{path}: {action.name} takes no arguments")
        return MappingProxyType({})
    keys = {option.key: option for option in action.keys}
    before = len(reading.problems)
    below = reading.fields(node, path, keys)
    values = values_of(below, keys)
    missing = [f"{action.name} needs {key}" for key in action.required if below.node(key) is None]
    if len(reading.problems) == before:
        for what in missing or filter(None, [action.against(values)]):
            fields.problem("with" if node else "action", f"{path}: {what}")
    return MappingProxyType({key: value for key, value in values.items() if value is not None})


def _wrong_target(action: Action, kind: TargetKind) -> str:
    others = [name for name, each in ACTIONS.items() if kind in each.targets]
    like = next((name for name in others if action.name in name), None) or nearest(action.name, others)
    return f"{action.name} is for a {' or '.join(action.targets)}, not for a {kind}{did_you_mean(like)}"
