"""Rules about the moment: who has stopped it, what else is going on, and how much was done lately.

Each returns None when it has nothing against it.
"""

from __future__ import annotations

from remediation.actions import FAILOVER, opt_in_word
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket, ready_at, take
from remediation.guard.case import BACKOFF_MEMORY_SECONDS, Case, budget_rates, service_name
from remediation.guard.verdict import Go, Never, Verdict
from remediation.model import Reason
from remediation.rates import rate_text
from remediation.world import is_well, service_of

# Who ends such a wait has it asked about at once; in between it is looked whether help is still needed.
_TOLD_SECONDS = 15.0


def too_late(case: Case) -> Verdict | None:
    """End what should have begun before now."""
    if case.intent.begin_by is None or not case.intent.begin_by.is_past():
        return None
    waited = f", it waited: {case.intent.detail}" if case.intent.detail else ""
    return Never(Reason.EXPIRED, f"it was not begun in time{waited}")


def dry_run(case: Case) -> Verdict | None:
    """End what is only to be written down."""
    asked = {
        "the policy": case.policy.dry_run,
        "the agent": case.limits.dry_run,
        "the command": case.intent.dry_run,
    }
    whose = next((each for each, dry in asked.items() if dry), None)
    if whose is None:
        return None
    return Never(Reason.DRY_RUN, f"{whose} is in dry-run: this is what would have been done")


def frozen(case: Case) -> Verdict | None:
    """Wait until it is thawed."""
    return case.wait(Reason.FROZEN, case.frozen, case.now + _TOLD_SECONDS) if case.frozen else None


def not_approved(case: Case) -> Verdict | None:
    """Wait for a person, where the policy wants one."""
    if case.policy.approval and not case.intent.approved_by:
        words = f"compose-agent approve {case.intent.id}"
        return case.wait(Reason.APPROVAL, words, case.now + _TOLD_SECONDS)
    return None


def in_window(case: Case) -> Verdict | None:
    """Wait for the end of a maintenance window."""
    for window in case.policy.windows:
        if window.contains(case.now):
            return case.wait(
                Reason.WINDOW, f"in the maintenance window {window}", window.end_of(case.now) or 0.0
            )
    return None


def silenced(case: Case) -> Verdict | None:
    """Wait while Alertmanager silences the alert."""
    return case.wait(Reason.SILENCED, case.silenced, case.now + _TOLD_SECONDS) if case.silenced else None


def being_deployed(case: Case) -> Verdict | None:
    """Wait for the end of a deployment of the project."""
    if case.policy.during_deployment:
        return None
    for each in case.world.affected(case.target):
        quiet_at = (
            case.world.deployments.get(each.compose_project, 0.0) + case.limits.deployment_quiet_seconds
        )
        if each.compose_project and quiet_at > case.now:
            words = f"the project {each.compose_project} is being deployed"
            return case.wait(Reason.DEPLOYMENT, words, quiet_at)
    return None


def busy(case: Case) -> Verdict | None:
    """Wait for another action on the same target, on one of its containers, or on its whole service."""
    names = {case.target.name, service_name(case.target, case.world)}
    if case.intent.action != "scale":  # which leaves those alone that there are
        affected = case.world.affected(case.target)
        names.update(name for each in affected for name in (each.name, service_of(each)))
    if taken := sorted((names - {""}) & case.busy):
        return case.wait(Reason.REPLICAS, f"{taken[0]} is being acted on already")
    return None


def backing_off(case: Case) -> Verdict | None:
    """Wait longer after each action."""
    recent = [at for at in case.recent if at > case.now - BACKOFF_MEMORY_SECONDS]
    if not recent:
        return None
    limits = case.policy.limits
    pause = min(limits.backoff_first_seconds * 2 ** (len(recent) - 1), limits.backoff_last_seconds)
    if (until := max(recent) + pause) > case.now:
        return case.wait(Reason.BACKOFF, f"{len(recent)} actions lately, the next after {pause:.0f} s", until)
    return None


def breaker_open(case: Case) -> Verdict | None:
    """Wait when the last actions did not help, and then allow one trial."""
    limits = case.policy.limits
    until = case.breaker.opens_until(limits.breaker_failures, limits.breaker_seconds)
    if until > case.now:
        words = f"{case.breaker.failures} actions in a row did not help; the next trial comes later"
        return case.wait(Reason.BREAKER, words, until)
    if until and case.breaker.trial:
        return case.wait(Reason.BREAKER, "a trial is under way")
    return None


def too_few_left(case: Case) -> Verdict | None:
    """Leave enough of a service alone; a service of one container has nobody to take its place anyway."""
    container = case.world.container(case.target)
    replicas = case.world.replicas(service_of(container)) if container else ()
    if container is None or len(replicas) < 2 or case.intent.action == FAILOVER:
        return None
    others = [each for each in replicas if each.id != container.id]
    acted_on = [each.name for each in others if each.name in case.busy]
    most = max(1, int(case.policy.limits.replicas_share * len(replicas)))
    if len(acted_on) >= most:
        return case.wait(Reason.REPLICAS, f"{len(acted_on)} of {len(replicas)} replicas are acted on already")
    well = [each for each in others if is_well(each) and each.name not in case.busy]
    if is_well(container) and not well:
        return case.wait(Reason.REPLICAS, f"{container.name} is the last healthy replica of its service")
    return None


def budgets(case: Case) -> Verdict:
    """Take a token from every budget, or wait until there is one."""
    service = service_name(case.target, case.world)
    left: dict[str, Bucket] = {}
    for key, rate in budget_rates(case.policy, case.intent, service, case.limits):
        bucket = case.buckets.get(key)
        if (after := take(bucket, rate, case.now)) is None:
            what = f"the budget of {key.partition(':')[0]} ({rate_text(rate)}) is spent"
            return case.wait(Reason.BUDGET, what, ready_at(bucket, rate, case.now))
        left[key] = after
    return Go(left, _tried(case))


def _tried(case: Case) -> Breaker:
    """Return the breaker once the action has begun; who only tells somebody tries nothing."""
    tripped = case.breaker.opens_until(case.policy.limits.breaker_failures, 0.0) > 0
    return case.breaker.tried() if tripped and opt_in_word(case.intent.action) else case.breaker
