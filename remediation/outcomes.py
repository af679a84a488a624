"""What becomes of an intent after it was acted on, inside a transaction of the journal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import msgspec

from compose_agent.dockerd.model import parse_time
from compose_agent.dockerd.verbs.model import Outcome, Result
from remediation.actions import opt_in_word
from remediation.deciding import Active, breaker_key
from remediation.guard.breaker import CLOSED, Breaker
from remediation.journal import Tx
from remediation.model import Intent, Reason, State
from remediation.planner import new_id, step_intent, suppress

logger = logging.getLogger(__name__)

_NOTHING_ASKED = Outcome(result=Result.DONE, reason="there was nothing to do")


class Outcomes:
    """Writes outcomes down, and what comes next. ``now`` is the clock in Unix seconds."""

    def __init__(self, active: Active, now: Callable[[], float]) -> None:
        self._active = active
        self._now = now

    def acted(self, tx: Tx, intent: Intent, outcomes: Sequence[Outcome]) -> None:
        """Note what the actor answered to the requests of an intent, as far as they were asked."""
        last = outcomes[-1] if outcomes else _NOTHING_ASKED
        tx.count_action(intent, last.result)
        _audit(
            tx,
            "acted",
            intent,
            {
                "action": intent.action,
                "target": str(intent.target),
                "result": last.result,
                "detail": last.reason,
                "requests": len(outcomes),
            },
        )
        facts = {**intent.facts, "outcomes": msgspec.to_builtins(list(outcomes))}
        at = _took_effect(last, intent, self._now())
        intent = msgspec.structs.replace(intent, acted_at=at, facts=facts, detail=last.reason)
        policy = self._active.policy(intent.policy)
        if last.result is Result.REFUSED and not any(each.result is Result.DONE for each in outcomes):
            self._refused(tx, intent, last.reason)
        elif last.result is not Result.DONE:
            self.missed(tx, intent, last.reason)
        elif policy is None or policy.verify is None:
            self.helped(tx, intent, "it is not verified")
        else:
            tx.put_intent(msgspec.structs.replace(intent, state=State.VERIFYING))

    def helped(self, tx: Tx, intent: Intent, detail: str) -> None:
        """End an intent well."""
        now = self._now()
        tx.put_intent(msgspec.structs.replace(intent, state=State.DONE, detail=detail, ended_at=now))
        if opt_in_word(intent.action):  # that somebody was told mends nothing
            tx.put_breaker(breaker_key(intent), CLOSED)
        _audit(tx, "verified", intent, {"helped": True, "detail": detail})
        self._after_end(tx, intent)

    def missed(self, tx: Tx, intent: Intent, detail: str) -> None:
        """End an intent that did not help: go on to the next rung of the ladder, or give up.

        That its alert resolved meanwhile changes nothing: one about a container that runs also ends when the
        action leaves the container stopped.
        """
        now = self._now()
        if opt_in_word(intent.action):
            tx.put_breaker(breaker_key(intent), self._breaker(tx, intent).failed(now))
        policy, episode = self._active.policy(intent.policy), tx.episode(intent.episode)
        rung = intent.rung + 1
        if policy and episode and rung < len(policy.ladder):
            self._end(tx, intent, State.ESCALATED, detail, policy.ladder[rung].action)
            tx.put_intent(step_intent(new_id(), episode, policy, rung, now))
        else:
            logger.error("an action did not help", extra={"target": str(intent.target), "why": detail})
            self._end(tx, intent, State.FAILED, detail, "")
            self._after_end(tx, intent)

    def _refused(self, tx: Tx, intent: Intent, detail: str) -> None:
        """End an intent of which the actor has done nothing; if it was a trial, there may be another one."""
        if (breaker := self._breaker(tx, intent)).trial:
            tx.put_breaker(breaker_key(intent), breaker.untried())
        suppress(tx, intent, Reason.REFUSED, detail, self._now())
        self._after_end(tx, intent)

    def _breaker(self, tx: Tx, intent: Intent) -> Breaker:
        return tx.breaker(breaker_key(intent)) or CLOSED

    def _end(self, tx: Tx, intent: Intent, state: State, detail: str, next_action: str) -> None:
        """Write down that an intent has not helped, and what comes next, if anything."""
        tx.put_intent(msgspec.structs.replace(intent, state=state, detail=detail, ended_at=self._now()))
        _audit(tx, "verified", intent, {"helped": False, "detail": detail, "next": next_action})

    def _after_end(self, tx: Tx, intent: Intent) -> None:
        """Close an episode that has resolved meanwhile; have what has begun meanwhile planned."""
        if not (episode := tx.episode(intent.episode)):
            return
        if episode.resolved_at:
            closed = msgspec.structs.replace(episode, closed_at=self._now(), close_reason="resolved")
            tx.put_episode(closed)
        elif episode.recurrence:
            tx.put_back(episode.recurrence)
            tx.put_episode(msgspec.structs.replace(episode, recurrence=None))


def _took_effect(outcome: Outcome, intent: Intent, now: float) -> float:
    """Return when it was done, by the Engine's clock if it says so.

    It may have been long ago, when this process was not there: what has happened since is not from before.
    """
    started_at = parse_time(outcome.details.get("started_at"))
    return min(max(started_at, intent.started_at), now) if started_at else now


def _audit(tx: Tx, kind: str, intent: Intent, fields: dict[str, object]) -> None:
    tx.audit(kind, {"episode": intent.episode, "intent": intent.id}, fields)
