"""One intent with everything that is known when it is judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from remediation.actions import opt_in_word
from remediation.guard.breaker import CLOSED, Breaker
from remediation.guard.buckets import Bucket
from remediation.guard.verdict import Wait
from remediation.model import Intent, Reason, Target, TargetKind
from remediation.policies.model import Policy, Rate
from remediation.world import World, service_of

# What holds an intent up without a known end is asked about so often.
_ASK_AGAIN_SECONDS = 1.0
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
