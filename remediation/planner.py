"""From signals to episodes and intents, inside one transaction of the journal; no I/O of its own.

What an episode does with a signal that fires:

======================================  ==================================================================
no episode is open                      open one, and plan the first step
the signal began after the last action  that did not last: close the episode, open a new one
an intent is live                       a duplicate: it only counts; one that began after the action that
                                        is verified now is kept, and planned when that has ended
the last intent was suppressed          plan again: what held it up may be over
otherwise                               a duplicate: what could be done was done, and the alert still fires
======================================  ==================================================================
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from remediation.journal import Fault, Tx
from remediation.model import LIVE, Episode, Intent, Reason, Signal, Source, State, Target, TargetKind
from remediation.policies.model import Policy
from remediation.targets import Missing, find_targets
from remediation.world import World

logger = logging.getLogger(__name__)

# On signals of the scaler: how many replicas there shall be.
REPLICAS_LABEL = "replicas"
# Suppressed for good: the next repetition of the same alert changes nothing about it.
_SETTLED = (Reason.DRY_RUN, Reason.DENIED, Reason.NOT_OPTED_IN, Reason.REFUSED)


class PolicySet(Protocol):
    """Policies in force."""

    def matching(self, labels: dict[str, str]) -> Sequence[Policy]:
        """Return those whose matchers all hold."""

    def named(self, name: str) -> Policy | None:
        """Return the policy of this name."""


def new_id() -> str:
    """Return an id for an episode or intent."""
    return uuid.uuid4().hex


class Planner:
    """Plans what signals lead to. ``now`` is the clock in Unix seconds."""

    def __init__(
        self, policies: Callable[[], PolicySet], now: Callable[[], float], make_id: Callable[[], str] = new_id
    ) -> None:
        self._policies = policies
        self._now = now
        self._make_id = make_id

    def plan(self, tx: Tx, signal: Signal, world: World) -> None:
        """Write down what one signal leads to."""
        known = tx.occurrence(signal.fingerprint, signal.starts_at)
        stale = signal.firing and tx.is_stale(signal.fingerprint, signal.starts_at, self._now())
        tx.note_occurrence(signal)
        if not signal.firing:
            self._resolve(tx, signal)
        elif stale:
            self._decide(tx, signal, Reason.STALE, "it or a later one has resolved already, this came late")
        else:
            self._fire(tx, signal, world, first=known is None)

    def must_wait(self, signal: Signal, world: World) -> bool:
        """Tell whether what a signal is about can be known only when the containers are."""
        if not (signal.firing and world.engine_error):
            return False
        return any(each.target.selector for each in self._policies().matching(_labels(signal)))

    def unreadable(self, tx: Tx, number: int) -> None:
        """Write down that a signal in the inbox cannot be read; the audit has what it was about."""
        words = f"the signal {number} of the inbox cannot be read"
        logger.error("a signal is left out", extra={"why": words})
        tx.count(Reason.FAULT, "")
        tx.audit("decided", {}, {"decision": Reason.FAULT, "detail": words})

    def failed(self, tx: Tx, signal: Signal, fault: Fault) -> None:
        """Write down that one signal could not be planned; whoever sent it tells of it again."""
        logger.error("fault in planning", extra={"alert": signal.name}, exc_info=fault)
        self._decide(tx, signal, Reason.FAULT, f"it could not be planned: {fault}")

    def tidy(self, tx: Tx) -> None:
        """Close what has resolved or was not told of for too long, unless an action is under way."""
        policies = self._policies()
        for episode in tx.open_episodes():
            policy = policies.named(episode.policy)
            silent = self._now() - episode.last_signal_at
            if tx.live_intent(episode.id) is not None:
                continue
            if episode.resolved_at:
                self._close(tx, episode, "resolved")
            elif policy is None or silent > policy.episode_ttl:
                self._close(tx, episode, "expired")

    def _fire(self, tx: Tx, signal: Signal, world: World, *, first: bool) -> None:
        policies = self._policies().matching(_labels(signal))
        if not policies and first:
            self._decide(tx, signal, Reason.NO_POLICY, "no policy matches its labels")
        for policy in policies:
            found = find_targets(policy.target, signal, world)
            if isinstance(found, Missing):
                if first:
                    self._decide(tx, signal, found.reason, found.detail, policy=policy.name)
                continue
            for target in found:
                self._fire_at(tx, signal, policy, target, world)

    def _fire_at(self, tx: Tx, signal: Signal, policy: Policy, target: Target, world: World) -> None:
        episode = tx.open_episode(policy.name, target)
        last = next(iter(tx.intents_of(episode.id)), None) if episode else None
        if episode and (why := self._is_over(episode, last, signal, policy)):
            self._close(tx, episode, why)
            episode = None
        if episode is None:
            episode = self._open(tx, signal, policy, target)
            self._plan_step(tx, episode, policy, signal)
            return
        began_after = last is not None and last.state in LIVE and _recurs(signal, episode, last)
        episode = msgspec.structs.replace(
            episode,
            last_signal_at=self._now(),
            signals=episode.signals + 1,
            resolved_at=0.0,
            recurrence=signal if began_after else episode.recurrence,
        )
        tx.put_episode(episode)
        if last is None or _is_to_be_planned_again(last, signal) or _was_of_another(last, world):
            self._plan_step(tx, episode, policy, signal)
        else:
            tx.count(Reason.DUPLICATE, policy.name)

    def _is_over(self, episode: Episode, last: Intent | None, signal: Signal, policy: Policy) -> str:
        """Return why a signal belongs to a new episode, empty if it belongs to the open one."""
        if last is None or last.state in LIVE:
            return ""
        if _recurs(signal, episode, last):
            return "recurred"
        if self._now() - episode.last_signal_at > policy.episode_ttl:
            return "expired"
        return ""

    def _open(self, tx: Tx, signal: Signal, policy: Policy, target: Target) -> Episode:
        now = self._now()
        episode = Episode(
            id=self._make_id(),
            policy=policy.name,
            target=target,
            fingerprint=signal.fingerprint,
            alert=signal.name,
            starts_at=signal.starts_at,
            opened_at=now,
            last_signal_at=now,
            received_at=signal.received_at,
            labels=signal.labels,
            traceparent=signal.traceparent,
        )
        tx.put_episode(episode)
        return episode

    def _plan_step(self, tx: Tx, episode: Episode, policy: Policy, signal: Signal) -> None:
        intent = step_intent(self._make_id(), episode, policy, 0, self._now())
        if signal.source is Source.SCALER and (replicas := signal.labels.get(REPLICAS_LABEL, "")).isdigit():
            intent = msgspec.structs.replace(intent, arguments={**intent.arguments, "to": int(replicas)})
        tx.put_intent(intent)
        tx.audit(
            "decided",
            {"episode": episode.id, "intent": intent.id, "fingerprint": episode.fingerprint},
            {
                "decision": "planned",
                "policy": policy.name,
                "target": str(episode.target),
                "action": intent.action,
                "alert": signal.name,
                "source": signal.source,
            },
        )

    def _resolve(self, tx: Tx, signal: Signal) -> None:
        """End what has not begun; what has goes on, and its episode ends with it."""
        for episode in tx.episodes_of(signal.fingerprint):
            if signal.ends_at and signal.ends_at < episode.starts_at:
                continue  # the end of an occurrence before this one
            live = tx.live_intent(episode.id)
            if live is None or live.state is State.PLANNED:
                if live is not None:
                    suppress(
                        tx, live, Reason.RESOLVED, "the alert resolved before anything was done", self._now()
                    )
                self._close(tx, episode, "resolved")
            else:
                ended = msgspec.structs.replace(episode, resolved_at=self._now(), recurrence=None)
                tx.put_episode(ended)

    def _close(self, tx: Tx, episode: Episode, reason: str) -> None:
        tx.put_episode(msgspec.structs.replace(episode, closed_at=self._now(), close_reason=reason))

    def _decide(self, tx: Tx, signal: Signal, reason: Reason, detail: str, policy: str = "") -> None:
        """Write down why a signal leads to nothing."""
        tx.count(reason, policy)
        about = {"decision": reason, "detail": detail, "alert": signal.name, "source": signal.source}
        if policy:
            about["policy"] = policy
        tx.audit("decided", {"fingerprint": signal.fingerprint}, about)


def _labels(signal: Signal) -> dict[str, str]:
    return {"alertname": signal.name, **signal.labels}


def _recurs(signal: Signal, episode: Episode, last: Intent) -> bool:
    """Tell whether a signal is of something that began after the last action."""
    return bool(last.acted_at) and signal.starts_at > max(last.acted_at, episode.starts_at)


def _is_to_be_planned_again(last: Intent, signal: Signal) -> bool:
    if last.state is State.SUPPRESSED:
        return last.reason not in _SETTLED
    # Each wish of the scaler is one of its own.
    return signal.source is Source.SCALER and last.state not in LIVE


def _was_of_another(last: Intent, world: World) -> bool:
    """Tell whether what was refused, or had not opted in, was a container in whose place another one is."""
    if last.state is not State.SUPPRESSED or last.reason not in (Reason.REFUSED, Reason.NOT_OPTED_IN):
        return False
    affected = world.affected(last.target)
    if last.target.kind is TargetKind.CONTAINER and (asked := last.facts.get("requests")):
        return bool(affected) and affected[0].id not in [each["target"] for each in asked]
    return any((each.created_at or 0.0) > last.ended_at for each in affected)


def step_intent(intent_id: str, episode: Episode, policy: Policy, rung: int, now: float) -> Intent:
    """Return the planned intent of one rung of a policy's ladder."""
    step = policy.ladder[rung]
    return Intent(
        id=intent_id,
        episode=episode.id,
        policy=policy.name,
        target=episode.target,
        action=step.action,
        arguments=dict(step.arguments),
        rung=rung,
        created_at=now,
        not_before=now,
    )


def suppress(tx: Tx, intent: Intent, reason: str, detail: str, now: float) -> None:
    """End an intent of which nothing was done."""
    tx.put_intent(
        msgspec.structs.replace(intent, state=State.SUPPRESSED, reason=reason, detail=detail, ended_at=now)
    )
    tx.count(reason, intent.policy)
    tx.audit(
        "decided",
        {"episode": intent.episode, "intent": intent.id},
        {"decision": reason, "detail": detail, "policy": intent.policy, "target": str(intent.target)},
    )


@dataclass(slots=True)
class Held:
    """What of the inbox waits for the Engine: rows up to ``last`` were looked at, 0 when nothing waits."""

    last: int = 0
    fingerprints: set[str] = field(default_factory=set)


def plan_all(
    planner: Planner, tx: Tx, rows: Sequence[tuple[int, Signal | None]], world: World, held: Held
) -> None:
    """Plan rows of the inbox in their order, and take them out.

    What has to wait for the Engine stays in, and so does what comes after it about the same.
    """
    handled = []
    for row, signal in rows:
        if signal is None:
            planner.unreadable(tx, row)
        elif signal.fingerprint in held.fingerprints or planner.must_wait(signal, world):
            held.fingerprints.add(signal.fingerprint)
            continue
        else:
            _plan_one(planner, tx, signal, world)
        handled.append(row)
    if held.fingerprints:
        held.last = rows[-1][0]
    tx.handled(handled)


def _plan_one(planner: Planner, tx: Tx, signal: Signal, world: World) -> None:
    try:
        with tx.part():
            planner.plan(tx, signal, world)
    except Fault as fault:
        planner.failed(tx, signal, fault)
