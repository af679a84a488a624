"""Rules about the target: whether there is one, whether its owner agreed, whether it still needs help.

Each returns None when it has nothing against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.verbs.optin import OptIn
from remediation.actions import FAILOVER, RENEW_NETWORK, opt_in_word
from remediation.failover.model import Mode
from remediation.guard.case import Case
from remediation.guard.verdict import Never, Verdict, Wait
from remediation.model import Reason, TargetKind
from remediation.policies.model import Condition

# How soon the next look is for what a deployment may have taken away for a moment.
_LOOK_AGAIN_SECONDS = 5.0
# After these a container runs that may not have run before.
_STARTING = ("restart", "start", "recreate", "scale")


def engine_away(case: Case) -> Verdict | None:
    """Wait for an Engine that does not answer."""
    if error := case.world.engine_error:
        return case.wait(Reason.ENGINE_AWAY, error)
    return None


def gone(case: Case) -> Verdict | None:
    """End what has no target; wait while that is not sure."""
    if case.target.kind is TargetKind.SWARM_SERVICE or case.world.affected(case.target):
        return None
    if case.world.unknown:
        words = f"{case.world.unknown} containers could not be looked at yet, it may be one of them"
        return case.wait(Reason.ENGINE_AWAY, words)
    if (quiet_at := _deployed_at(case) + case.limits.deployment_quiet_seconds) > case.now:
        words = f"there is no {case.target.kind} '{case.target.name}', but something is being deployed"
        return case.wait(Reason.DEPLOYMENT, words, min(quiet_at, case.now + _LOOK_AGAIN_SECONDS))
    return Never(Reason.NO_TARGET, f"there is no {case.target.kind} '{case.target.name}' on this host")


def _deployed_at(case: Case) -> float:
    """Return when the project of a target that is not there was last deployed; of a container, any project.

    Compose removes a container before the new one gets its name.
    """
    if case.target.kind is TargetKind.SERVICE:
        return case.world.deployments.get(case.target.name.partition("/")[0], 0.0)
    return max(case.world.deployments.values(), default=0.0)


def not_looked_at(case: Case) -> Verdict | None:
    """Wait for a look at what has just changed: what it was before must not decide for good."""
    for each in case.world.affected(case.target):
        if each.id in case.world.behind:
            words = f"{each.name} has changed, and could not be looked at since"
            return Wait(Reason.ENGINE_AWAY, words, case.now)  # it takes milliseconds
    return None


def not_opted_in(case: Case) -> Verdict | None:
    """End what an owner has not agreed to."""
    if not (word := opt_in_word(case.intent.action)):
        return None
    opt_in = OptIn(case.policy.target.allow)
    for each in _touched(case):
        if refusal := opt_in.refusal(each.name, each.labels, word):
            with_it = "" if _is_named(case, each) else ", and it would have to be restarted with its network"
            return Never(Reason.NOT_OPTED_IN, f"{refusal}{with_it}")
    return None


def _is_named(case: Case, container: Container) -> bool:
    return case.intent.action == FAILOVER or container in case.world.affected(case.target)


def _touched(case: Case) -> Sequence[Container]:
    """Return what the action touches: of a fail-over everybody who may lose or take the place.

    Who lives in the network of a container that is restarted is restarted, too.
    """
    affected = case.world.affected(case.target)
    if case.intent.action in RENEW_NETWORK:
        return [*affected, *(other for each in affected for other in case.world.dependents(each))]
    if case.intent.action != FAILOVER:
        return affected
    groups = {case.world.group_of(each) for each in affected} - {""}
    return [each for name in sorted(groups) for each in case.world.groups[name][1]] or affected


def in_a_group(case: Case) -> Verdict | None:
    """Have nobody but a fail-over start those of whom only one may run."""
    if case.intent.action not in _STARTING:
        return None
    for each in case.world.affected(case.target):
        group, members = case.world.groups.get(case.world.group_of(each), (None, ()))
        if group and group.mode is Mode.ACTIVE_PASSIVE and len(members) > 1:
            words = f"{each.name} is of the fail-over group {group.name}, which alone decides who of it runs"
            return Never(Reason.NOT_ALLOWED, words)
    return None


def recovered(case: Case) -> Verdict | None:
    """End what the policy's condition no longer holds for; later rungs are for what did not help."""
    container = case.world.container(case.target)
    if container is None or case.intent.rung:
        return None
    if _holds(case.policy.condition, container):
        return None
    words = f"{container.state}, health {container.health}"
    return Never(Reason.RECOVERED, f"{container.name} is {words}: '{case.policy.condition}' no longer holds")


def _holds(condition: Condition, container: Container) -> bool:
    match condition:
        case Condition.UNHEALTHY:
            return container.health == "unhealthy"
        case Condition.NOT_RUNNING:
            return container.state not in ("running", "paused", "restarting")
        case Condition.RUNNING:
            return container.state == "running"
    return True


def stopped_by_hand(case: Case) -> Verdict | None:
    """End what would start what somebody stopped."""
    if case.policy.by_hand:
        return None
    container = case.world.container(case.target)
    if container and container.id in case.world.stopped_by_hand and not container.alive:
        return Never(Reason.MANUAL_STOP, f"somebody stopped {container.name}, and that is respected")
    return None


def nothing_to_change(case: Case) -> Verdict | None:
    """End a scaling to the number that there is."""
    if case.intent.action != "scale" or case.target.kind is not TargetKind.SERVICE:
        return None
    now = len(case.world.replicas(case.target.name))
    try:
        wanted = case.world.replicas_wanted(case.target.name, case.intent.arguments)
    except ValueError as error:
        return Never(Reason.NOT_ALLOWED, f"{case.target.name}: {error}")
    if wanted != now:
        return None
    return Never(Reason.NO_CHANGE, f"{case.target.name} has the {now} replicas that it is to have")
