"""Which targets a policy finds for a signal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compose_agent.dockerd.model import Container
from compose_agent.linear_regex import anchored
from remediation.model import Reason, Signal, Target, TargetKind
from remediation.policies.model import TargetRule
from remediation.world import World, service_of

# Where the exporter's series name what an alert is about.
DEFAULT_LABELS: Mapping[TargetKind, Mapping[str, str]] = {
    TargetKind.CONTAINER: {"name": "name"},
    TargetKind.SERVICE: {"project": "compose_project", "service": "compose_service"},
    TargetKind.SWARM_SERVICE: {"name": "service_name"},
    TargetKind.GROUP: {"name": "failover_group"},
}
# Longer names than the Engine allows come from somebody who tries something.
_MOST_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Missing:
    """Why there is no target."""

    reason: Reason
    detail: str


def find_targets(rule: TargetRule, signal: Signal, world: World) -> Sequence[Target] | Missing:
    """Return the targets of a rule for a signal; those by labels of the signal need not exist (any more)."""
    if rule.selector:
        found = _selected(rule, world)
        return found or Missing(Reason.NO_TARGET, "no container has the labels of the policy's selector")
    target = _named(rule, signal.labels)
    if isinstance(target, Missing):
        return target
    if rule.only and not anchored(rule.only).fullmatch(target.name):
        return Missing(Reason.NOT_ALLOWED, f"the policy may touch only '{rule.only}', not '{target.name}'")
    return (target,)


def _named(rule: TargetRule, labels: Mapping[str, str]) -> Target | Missing:
    parts: list[str] = []
    for default in DEFAULT_LABELS[rule.kind].items():
        part, label = default[0], rule.labels.get(*default)
        value = labels.get(label, "")
        if not value or len(value) > _MOST_CHARACTERS or not value.isprintable():
            return Missing(Reason.NO_TARGET, f"the label {label} names no {part}")
        parts.append(value)
    return Target(rule.kind, "/".join(parts))


def _selected(rule: TargetRule, world: World) -> Sequence[Target]:
    matching = [each for each in world.containers if _has(each, rule.selector)]
    if rule.kind is TargetKind.SERVICE:
        names = [service_of(each) for each in matching if each.compose_service]
    elif rule.kind is TargetKind.GROUP:
        names = [name for each in matching if (name := world.group_of(each))]
    else:
        names = [each.name for each in matching]
    allowed = [name for name in dict.fromkeys(names) if not rule.only or anchored(rule.only).fullmatch(name)]
    return [Target(rule.kind, name) for name in allowed]


def _has(container: Container, wanted: Mapping[str, str]) -> bool:
    return all(container.labels.get(key) == value for key, value in wanted.items())
