"""How remediation stands at this moment: ``GET /v1/overview``, for the page and ``status``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec

from compose_agent.errors import StateError
from remediation.active import Active
from remediation.guard.breaker import BreakerState
from remediation.guard.buckets import filled, ready_at
from remediation.history import ActionRow, row_of
from remediation.journal import FREEZE_FLAG, Journal, View
from remediation.model import LIVE, Intent, Reason, State
from remediation.policies.model import Policy, Rate

# A person reads no more; how many there are is said beside them.
MOST_LIVE = 200
# What was begun last is looked for among so many; an older one is no news.
_LATEST = 200


class BreakerRow(msgspec.Struct, frozen=True, kw_only=True):
    """A breaker that is not closed: open ``until`` (Unix seconds), then half open, for one trial."""

    policy: str
    target: str
    state: str
    failures: int
    until: float


class BudgetRow(msgspec.Struct, frozen=True, kw_only=True):
    """What is ``left`` of ``count`` actions in ``seconds``; ``next_at`` is when there is one (Unix seconds).

    ``budget`` is ``host``, ``everything``, ``freeze-after`` (until everything freezes by itself), or
    ``target:`` and ``service:`` with policy and name; these are listed while they are spent.
    """

    budget: str
    left: float
    count: int
    seconds: float
    next_at: float


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """Everything at one moment. Times are Unix seconds; sentences are empty where nothing is wrong.

    ``reasons`` say why alerts do not become actions, ``outside`` why Alertmanager or Prometheus cannot be
    asked, ``frozen`` who has frozen everything. ``live`` has the actions that have not ended, those that wait
    for a person first, then the oldest; ``live_count`` and ``approvals`` count all of them. ``last`` is the
    latest action that was begun. ``given_up`` has what did not help although the alert goes on.
    """

    at: float
    host: str
    reasons: list[str]
    engine: str
    journal: str
    outside: str
    heartbeat_at: float
    frozen: str = ""
    dry_run: bool = False
    inbox: int = 0
    policies: list[str] = []
    live: list[ActionRow] = []
    live_count: int = 0
    approvals: int = 0
    last: ActionRow | None = None
    given_up: list[ActionRow] = []
    breakers: list[BreakerRow] = []
    budgets: list[BudgetRow] = []


@dataclass(frozen=True, slots=True)
class Health:
    """What the role says of itself: see :class:`Overview`."""

    host: str
    reasons: tuple[str, ...]
    engine: str
    outside: str
    heartbeat_at: float


class Observer:
    """Makes overviews of a journal, of what is in force, and of what ``health`` says."""

    def __init__(
        self,
        journal: Journal,
        active: Active,
        health: Callable[[], Health],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._active = active
        self._health = health
        self._now = now

    def overview(self) -> Overview:
        """Return how everything stands; a journal that cannot be read leaves out what lies in it."""
        health = self._health()
        bare = Overview(
            at=self._now(),
            host=health.host,
            reasons=list(health.reasons),
            engine=health.engine,
            journal=self._journal.error,
            outside=health.outside,
            heartbeat_at=health.heartbeat_at,
            dry_run=self._active.limits.dry_run,
            policies=sorted(self._active.policies.names),
        )
        try:
            return self._journal.read(lambda view: self._filled(bare, view))
        except StateError as error:
            return msgspec.structs.replace(bare, journal=str(error))

    def _filled(self, bare: Overview, view: View) -> Overview:
        states = view.states()
        live = sorted((each for state in LIVE for each in view.in_state(state)), key=_waits_longest)
        return msgspec.structs.replace(
            bare,
            frozen=view.flag(FREEZE_FLAG) or "",
            inbox=view.inbox_size(),
            live=[row_of(each, view.episode(each.episode)) for each in live[:MOST_LIVE]],
            live_count=sum(states.get(state, 0) for state in LIVE),
            approvals=sum(waits_for_person(each) for each in live),
            last=_last(view),
            given_up=[row_of(intent, episode) for episode, intent in view.given_up(MOST_LIVE)],
            breakers=list(self._breakers(view)),
            budgets=list(self._budgets(view)),
        )

    def _breakers(self, view: View) -> Iterator[BreakerRow]:
        for key, breaker in view.breakers().items():
            name, _, target = key.partition(":")
            if (policy := self._active.policy(name)) is None:
                continue
            most, pause = policy.limits.breaker_failures, policy.limits.breaker_seconds
            state = breaker.state(most, pause, self._now())
            if state is not BreakerState.CLOSED:
                yield BreakerRow(
                    policy=name,
                    target=target,
                    state=state,
                    failures=breaker.failures,
                    until=breaker.opens_until(most, pause),
                )

    def _budgets(self, view: View) -> Iterator[BudgetRow]:
        shared, buckets, now = self._active.budgets(), view.buckets(), self._now()
        own = {key: _rate_of(key, self._active.policy) for key in sorted(buckets) if key not in shared}
        for key, rate in {**shared, **own}.items():
            if rate is None:
                continue
            left = filled(buckets.get(key), rate, now).tokens
            if key in shared or left < 1:
                next_at = ready_at(buckets.get(key), rate, now)
                yield BudgetRow(
                    budget=key, left=left, count=rate.count, seconds=rate.seconds, next_at=next_at
                )


def waits_for_person(action: ActionRow | Intent) -> bool:
    """Tell whether an action waits for somebody to approve or deny it."""
    return action.state == State.PLANNED and action.reason == Reason.APPROVAL and not action.approved_by


def _waits_longest(intent: Intent) -> tuple[bool, float]:
    return not waits_for_person(intent), intent.created_at


def _last(view: View) -> ActionRow | None:
    begun = (each for _, each in view.latest_intents(_LATEST) if each.started_at)
    last = max(begun, key=lambda each: each.started_at, default=None)
    return row_of(last, view.episode(last.episode)) if last else None


def _rate_of(key: str, policy_named: Callable[[str], Policy | None]) -> Rate | None:
    """Return the rate of a policy's own budget; None if the policy, or its budget, is there no more."""
    kind, _, rest = key.partition(":")
    policy = policy_named(rest.partition(":")[0])
    if policy is None:
        return None
    return {"target": policy.limits.per_target, "service": policy.limits.per_service}.get(kind)
