"""Asking the guard about planned intents, inside a transaction of the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.linear_regex import anchored
from compose_agent.typed import convert
from remediation.calls import CALLS
from remediation.calls.rendering import NO_OCCASION, Occasion
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import take
from remediation.guard.case import BACKOFF_MEMORY_SECONDS, Case, Limits, budget_rates, service_name
from remediation.guard.guard import judge
from remediation.guard.verdict import Go, Never, Wait
from remediation.journal import FREEZE_FLAG, Fault, Tx
from remediation.model import Intent, Reason, State, Target
from remediation.planner import new_id, step_intent, suppress
from remediation.policies.model import Policy
from remediation.rates import rate_text
from remediation.requests import requests_for
from remediation.world import World

logger = logging.getLogger(__name__)

# So long after a deadline it has certainly passed.
_PAST_SECONDS = 0.05

# Under this key the journal has what is left until everything freezes by itself.
FREEZE_BUCKET = "freeze-after"


class Outside(Protocol):
    """What other programs say; whoever asks never waits for them."""

    def silenced(self, labels: Mapping[str, str]) -> str:
        """Return which silence of Alertmanager holds for these labels, empty for none."""

    def holds(self, query: str, since: float) -> bool | None:
        """Return whether a PromQL query says so; None while nobody has been asked after ``since``."""


class Active(Protocol):
    """What is in force, and may change while the engine runs."""

    @property
    def limits(self) -> Limits:
        """What holds for all policies together."""

    def policy(self, name: str) -> Policy | None:
        """Return a policy in force."""


@dataclass(frozen=True, slots=True)
class Work:
    """An intent that is executing, and what the actor is asked for it."""

    intent: Intent
    requests: Sequence[VerbRequest]

    @classmethod
    def of(cls, intent: Intent) -> Work:
        """Return the work of an intent that an earlier run began."""
        return cls(intent, convert(intent.facts.get("requests", []), list[VerbRequest]))


def breaker_key(intent: Intent) -> str:
    """Return under which name the breaker of an intent's policy and target is kept."""
    return f"{intent.policy}:{intent.target}"


class Decider:
    """Lets planned intents go, wait, or end. ``now`` is the clock in Unix seconds."""

    def __init__(self, active: Active, outside: Outside, now: Callable[[], float]) -> None:
        self._active = active
        self._outside = outside
        self._now = now

    def decide(self, tx: Tx, due: Sequence[Intent], world: World, most: int) -> list[Work]:
        """Judge intents in their order until ``most`` of them may go; return those."""
        works: list[Work] = []
        for each in due:
            if len(works) >= most:
                break
            intent = tx.intent(each.id)
            if intent and intent.state is State.PLANNED and (work := self._decided(tx, intent, world)):
                works.append(work)
        return works

    def _decided(self, tx: Tx, intent: Intent, world: World) -> Work | None:
        try:
            with tx.part():
                return self._decide(tx, intent, world)
        except Fault as fault:
            logger.exception("fault in deciding", extra={"intent": intent.id})
            suppress(tx, intent, Reason.FAULT, f"it could not be decided: {fault}", self._now())
        return None

    def _decide(self, tx: Tx, intent: Intent, world: World) -> Work | None:
        policy = self._active.policy(intent.policy)
        if policy is None:
            suppress(tx, intent, Reason.NO_POLICY, "the policy is there no more", self._now())
            return None
        if words := _changed(intent, policy):
            _plan_anew(tx, intent, policy, words, self._now())
            return None
        case = self._case(tx, intent, policy, world)
        match judge(case):
            case Never(reason, detail):
                suppress(tx, intent, reason, detail, case.now)
            case Wait(reason, detail, until):
                _wait(tx, case, reason, detail, until)
            case Go(buckets, breaker) if not _freezes(tx, case):
                for key, bucket in buckets.items():
                    tx.put_bucket(key, bucket)
                tx.put_breaker(breaker_key(intent), breaker)
                return _begin(tx, case)
        return None

    def _case(self, tx: Tx, intent: Intent, policy: Policy, world: World) -> Case:
        now, limits = self._now(), self._active.limits
        service = service_name(intent.target, world)
        keys = [key for key, _ in budget_rates(policy, intent, service, limits)]
        episode = tx.episode(intent.episode)
        return Case(
            intent,
            policy,
            world,
            now,
            limits,
            recent=tx.recent_actions(intent.target, now - BACKOFF_MEMORY_SECONDS),
            busy=frozenset(each.name for each in tx.busy_targets()),
            buckets={key: bucket for key in keys if (bucket := tx.bucket(key)) is not None},
            breaker=tx.breaker(breaker_key(intent)) or Breaker(),
            frozen=tx.flag(FREEZE_FLAG) or "",
            silenced=self._outside.silenced({"alertname": episode.alert, **episode.labels})
            if episode
            else "",
        )


def _changed(intent: Intent, policy: Policy) -> str:
    """Return what a policy no longer says of an intent that was planned by it; empty if it still does."""
    if words := _not_for(intent.target, policy):
        return words
    if intent.rung < len(policy.ladder) and policy.ladder[intent.rung].action == intent.action:
        return ""
    return f"the policy was changed, and {intent.action} is no longer its step {intent.rung + 1}"


def _not_for(target: Target, policy: Policy) -> str:
    only = policy.target.only
    if target.kind is not policy.target.kind:
        return f"the policy was changed, and is no longer about a {target.kind}"
    if only and not anchored(only).fullmatch(target.name):
        return f"the policy was changed, and may touch only '{only}'"
    return ""


def _plan_anew(tx: Tx, intent: Intent, policy: Policy, words: str, now: float) -> None:
    """End what a policy no longer says, and plan what it does say instead, if anything.

    That has to be approved by itself.
    """
    suppress(tx, intent, Reason.NO_POLICY, words, now)
    episode = tx.episode(intent.episode)
    if episode and intent.rung < len(policy.ladder) and not _not_for(intent.target, policy):
        instead = step_intent(new_id(), episode, policy, intent.rung, now)
        tx.put_intent(instead)
        _audit(tx, instead, {"decision": "planned", "action": instead.action, "alert": episode.alert})


def _wait(tx: Tx, case: Case, reason: Reason, detail: str, until: float) -> None:
    """Put an intent off, or end it when its patience is over."""
    intent, patience = case.intent, case.policy.patience
    since = max(intent.created_at, intent.approved_at)
    if case.now - since > patience:
        suppress(tx, intent, reason, f"it waited {patience:.0f} s: {detail}", case.now)
        return
    if intent.reason != reason:
        tx.count(reason, intent.policy)
        _audit(tx, intent, {"decision": "waits", "reason": reason, "detail": detail})
    # Not beyond the end of its patience: that is to be noticed.
    not_before = min(until, since + patience + 1)
    if intent.begin_by:
        not_before = min(not_before, case.now + max(0.0, intent.begin_by.left()) + _PAST_SECONDS)
    tx.put_intent(msgspec.structs.replace(intent, reason=reason, detail=detail, not_before=not_before))


def _freezes(tx: Tx, case: Case) -> bool:
    """Freeze everything when there is more to do than there ever should be: something else is wrong then."""
    if (rate := case.limits.freeze_after) is None:
        return False
    if (left := take(tx.bucket(FREEZE_BUCKET), rate, case.now)) is not None:
        tx.put_bucket(FREEZE_BUCKET, left)
        return False
    words = f"frozen by itself: more than {rate_text(rate)} actions; 'compose-agent thaw' lets it go on"
    tx.set_flag(FREEZE_FLAG, words)
    tx.audit("frozen", {}, {"by": "itself", "why": words})
    logger.error("remediation is frozen", extra={"why": words})
    return True


def _begin(tx: Tx, case: Case) -> Work:
    requests = requests_for(case.intent, case.world, _occasion(tx, case))
    intent = msgspec.structs.replace(
        case.intent,
        state=State.EXECUTING,
        reason="",
        detail="",
        started_at=case.now,
        facts={"requests": msgspec.to_builtins(list(requests))},
    )
    tx.put_intent(intent)
    _audit(tx, intent, {"decision": "acts", "action": intent.action})
    return Work(intent, requests)


def _occasion(tx: Tx, case: Case) -> Occasion:
    """Return what texts can speak of: the labels of the signal, and the step before this one."""
    if case.intent.action not in CALLS:
        return NO_OCCASION
    episode = tx.episode(case.intent.episode)
    labels = {"alertname": episode.alert, **episode.labels} if episode else {}
    before = [each for each in tx.intents_of(case.intent.episode) if each.rung == case.intent.rung - 1]
    return Occasion(labels, case.now, next(iter(before), None))


def _audit(tx: Tx, intent: Intent, fields: dict[str, str]) -> None:
    about = {"policy": intent.policy, "target": str(intent.target), **fields}
    tx.audit("decided", {"episode": intent.episode, "intent": intent.id}, about)
