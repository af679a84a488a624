"""The rules by which an intent may be carried out: each a small function, asked in order.

The order is that of what people ask first: is there such a container, did its owner agree, does it still need
help, has somebody stopped everything; then the limits, the dearest to take last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.verbs.optin import OptIn
from remediation.actions import FAILOVER, opt_in_word
from remediation.failover.model import Mode
from remediation.guard.breaker import CLOSED, Breaker
from remediation.guard.buckets import Bucket, ready_at, take
from remediation.guard.verdict import Go, Never, Verdict, Wait
from remediation.model import Intent, Reason, Target, TargetKind
from remediation.policies.model import Condition, Policy, Rate
from remediation.rates import rate_text
from remediation.world import World, is_well, service_of

# What holds an intent up without a known end is asked about so often.
_ASK_AGAIN_SECONDS = 1.0
# After these a container runs that may not have run before.
_STARTING = ("restart", "start", "recreate", "scale")
# Actions of so long ago no longer make the next one wait.
BACKOFF_MEMORY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for all policies together."""

    host: Rate | None = None
    everything: Rate | None = None
    # More actions than this freeze everything.
    freeze_after: Rate | None = None
    dry_run: bool = False
    deployment_quiet_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """One intent with everything that is known when it is judged. Times are Unix seconds.

    ``recent`` has when actions on the target began, ``busy`` the names of containers and services that are
    being acted on, ``buckets`` what is left of budgets by key, ``frozen`` and ``silenced`` who or what stops
    it, empty when nothing does.
    """

    intent: Intent
    policy: Policy
    world: World
    now: float
    limits: Limits = field(default_factory=Limits)
    recent: Sequence[float] = ()
    busy: frozenset[str] = frozenset()
    buckets: Mapping[str, Bucket] = field(default_factory=dict)
    breaker: Breaker = CLOSED
    frozen: str = ""
    silenced: str = ""

    @property
    def target(self) -> Target:
        """The target of the intent."""
        return self.intent.target

    def wait(self, reason: Reason, detail: str, until: float = 0.0) -> Wait:
        """Return a verdict that says when to ask again."""
        return Wait(reason, detail, max(until, self.now + _ASK_AGAIN_SECONDS))


def judge(case: Case) -> Verdict:
    """Return whether an intent may be carried out now."""
    for rule in _RULES:
        if (verdict := rule(case)) is not None:
            return verdict
    return _budgets(case)


def budget_rates(policy: Policy, intent: Intent, service: str, limits: Limits) -> Iterator[tuple[str, Rate]]:
    """Yield the budgets that an action takes from, by the keys under which they are kept."""
    if rate := policy.limits.per_target:
        yield f"target:{policy.name}:{intent.target}", rate
    if service and (rate := policy.limits.per_service):
        yield f"service:{policy.name}:{service}", rate
    if opt_in_word(intent.action) and (rate := limits.host):
        yield "host", rate
    if rate := limits.everything:
        yield "everything", rate


def service_name(target: Target, world: World) -> str:
    """Return the Compose service that a target is or belongs to, empty for none."""
    if target.kind is TargetKind.SERVICE:
        return target.name
    container = world.container(target)
    return service_of(container) if container else ""


def _engine_away(case: Case) -> Verdict | None:
    if error := case.world.engine_error:
        return case.wait(Reason.ENGINE_AWAY, error)
    return None


def _gone(case: Case) -> Verdict | None:
    if case.target.kind is TargetKind.SWARM_SERVICE or case.world.affected(case.target):
        return None
    if case.world.unknown:
        words = f"{case.world.unknown} containers could not be looked at yet, it may be one of them"
        return case.wait(Reason.ENGINE_AWAY, words)
    return Never(Reason.NO_TARGET, f"there is no {case.target.kind} '{case.target.name}' on this host")


def _not_opted_in(case: Case) -> Verdict | None:
    if not (word := opt_in_word(case.intent.action)):
        return None
    opt_in = OptIn(case.policy.target.allow)
    for each in _touched(case):
        if refusal := opt_in.refusal(each.name, each.labels, word):
            return Never(Reason.NOT_OPTED_IN, refusal)
    return None


def _touched(case: Case) -> Sequence[Container]:
    """Return what the action touches: of a fail-over everybody who may lose or take the place."""
    affected = case.world.affected(case.target)
    if case.intent.action != FAILOVER:
        return affected
    groups = {case.world.group_of(each) for each in affected} - {""}
    return [each for name in sorted(groups) for each in case.world.groups[name][1]] or affected


def _in_a_group(case: Case) -> Verdict | None:
    """Have nobody but a fail-over start those of whom only one may run."""
    if case.intent.action not in _STARTING:
        return None
    for each in case.world.affected(case.target):
        group, members = case.world.groups.get(case.world.group_of(each), (None, ()))
        if group and group.mode is Mode.ACTIVE_PASSIVE and len(members) > 1:
            words = f"{each.name} is of the fail-over group {group.name}, which alone decides who of it runs"
            return Never(Reason.NOT_ALLOWED, words)
    return None


def _recovered(case: Case) -> Verdict | None:
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


def _stopped_by_hand(case: Case) -> Verdict | None:
    container = case.world.container(case.target)
    if container and container.id in case.world.stopped_by_hand and not container.alive:
        return Never(Reason.MANUAL_STOP, f"somebody stopped {container.name}, and that is respected")
    return None


def _dry_run(case: Case) -> Verdict | None:
    if not (case.policy.dry_run or case.limits.dry_run):
        return None
    whose = "the policy" if case.policy.dry_run else "the agent"
    return Never(Reason.DRY_RUN, f"{whose} is in dry-run: this is what would have been done")


def _frozen(case: Case) -> Verdict | None:
    return case.wait(Reason.FROZEN, case.frozen) if case.frozen else None


def _not_approved(case: Case) -> Verdict | None:
    if case.policy.approval and not case.intent.approved_by:
        return case.wait(Reason.APPROVAL, f"compose-agent approve {case.intent.id}")
    return None


def _in_window(case: Case) -> Verdict | None:
    for window in case.policy.windows:
        if window.contains(case.now):
            return case.wait(
                Reason.WINDOW, f"in the maintenance window {window}", window.end_of(case.now) or 0.0
            )
    return None


def _silenced(case: Case) -> Verdict | None:
    return case.wait(Reason.SILENCED, case.silenced) if case.silenced else None


def _deployment(case: Case) -> Verdict | None:
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


def _backing_off(case: Case) -> Verdict | None:
    recent = [at for at in case.recent if at > case.now - BACKOFF_MEMORY_SECONDS]
    if not recent:
        return None
    limits = case.policy.limits
    pause = min(limits.backoff_first_seconds * 2 ** (len(recent) - 1), limits.backoff_last_seconds)
    if (until := max(recent) + pause) > case.now:
        return case.wait(Reason.BACKOFF, f"{len(recent)} actions lately, the next after {pause:.0f} s", until)
    return None


def _breaker_open(case: Case) -> Verdict | None:
    limits = case.policy.limits
    until = case.breaker.opens_until(limits.breaker_failures, limits.breaker_seconds)
    if until > case.now:
        words = f"{case.breaker.failures} actions in a row did not help; the next trial comes later"
        return case.wait(Reason.BREAKER, words, until)
    if until and case.breaker.trial:
        return case.wait(Reason.BREAKER, "a trial is under way")
    return None


def _busy(case: Case) -> Verdict | None:
    names = {case.target.name, service_name(case.target, case.world)} - {""}
    for name in sorted(names & case.busy):
        if name == case.target.name:
            return case.wait(Reason.REPLICAS, f"{name} is being acted on already")
    return None


def _too_few_left(case: Case) -> Verdict | None:
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


def _nothing_to_change(case: Case) -> Verdict | None:
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


def _budgets(case: Case) -> Verdict:
    service = service_name(case.target, case.world)
    left: dict[str, Bucket] = {}
    for key, rate in budget_rates(case.policy, case.intent, service, case.limits):
        bucket = case.buckets.get(key)
        if (after := take(bucket, rate, case.now)) is None:
            what = f"the budget of {key.partition(':')[0]} ({rate_text(rate)}) is spent"
            return case.wait(Reason.BUDGET, what, ready_at(bucket, rate, case.now))
        left[key] = after
    tripped = case.breaker.opens_until(case.policy.limits.breaker_failures, 0.0) > 0
    return Go(left, case.breaker.tried() if tripped else case.breaker)


_RULES: Sequence[Callable[[Case], Verdict | None]] = (
    _engine_away,
    _gone,
    _not_opted_in,
    _in_a_group,
    _recovered,
    _stopped_by_hand,
    _dry_run,
    _frozen,
    _not_approved,
    _in_window,
    _silenced,
    _deployment,
    _busy,
    _backing_off,
    _breaker_open,
    _too_few_left,
    _nothing_to_change,
)
