"""What a person may do: freeze and thaw everything, approve and deny one action. Each is in the audit."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from compose_agent.dockerd.overview.words import date
from compose_agent.errors import ComposeAgentError
from remediation.deciding import FREEZE_BUCKET
from remediation.journal import FREEZE_FLAG, Journal, Tx
from remediation.model import Intent, Reason, State


class NotPossible(ComposeAgentError):
    """What was asked for does not fit what there is; nothing was changed."""


class Operations:
    """Writes down what people decide. ``wake`` has the engine look at once; ``now`` is in Unix seconds.

    ``by`` is who it is, ``why`` what they say; each call raises StateError when it is not on disk.
    """

    def __init__(
        self, journal: Journal, wake: Callable[[], None], now: Callable[[], float] = time.time
    ) -> None:
        self._journal = journal
        self._wake = wake
        self._now = now

    def freeze(self, by: str, why: str) -> str:
        """Have nothing begun any more, and return the sentence that says so; also if it was frozen before."""
        return self._journal.write(lambda tx: freeze(tx, self._now(), by, why))

    def thaw(self, by: str, why: str) -> None:
        """Let everything go on; raises NotPossible if it is not frozen."""
        self._journal.write(lambda tx: thaw(tx, self._now(), by, why))
        self._wake()

    def approve(self, intent_id: str, by: str, why: str) -> Intent:
        """Let an action go on that waits for approval; ``intent_id`` may be its beginning."""

        def work(tx: Tx) -> Intent:
            intent = _waiting(tx, intent_id)
            approved = msgspec.structs.replace(
                intent, approved_by=by, approved_at=self._now(), not_before=self._now()
            )
            tx.put_intent(approved)
            tx.audit("approved", _subjects(intent), {"by": by, "why": why})
            return approved

        intent = self._journal.write(work)
        self._wake()
        return intent

    def deny(self, intent_id: str, by: str, why: str) -> Intent:
        """End an action that waits for approval; ``intent_id`` may be its beginning."""

        def work(tx: Tx) -> Intent:
            intent = _waiting(tx, intent_id)
            detail = f"denied by {by}" + (f": {why}" if why else "")
            denied = msgspec.structs.replace(
                intent, state=State.SUPPRESSED, reason=Reason.DENIED, detail=detail, ended_at=self._now()
            )
            tx.put_intent(denied)
            tx.count(Reason.DENIED, intent.policy)
            tx.audit("denied", _subjects(intent), {"by": by, "why": why})
            return denied

        return self._journal.write(work)


def freeze(tx: Tx, now: float, by: str, why: str) -> str:
    """Freeze in a transaction that is under way, and return the sentence that says so."""
    said = f": {why}" if why else ""
    words = f"frozen since {date(now)} by {by}{said}; 'compose-agent thaw' lets it go on"
    tx.set_flag(FREEZE_FLAG, words)
    tx.audit("frozen", {}, {"by": by, "why": why})
    return words


def thaw(tx: Tx, now: float, by: str, why: str) -> None:
    """Thaw in a transaction that is under way; raises NotPossible if it is not frozen."""
    if tx.flag(FREEZE_FLAG) is None:
        raise NotPossible("remediation is not frozen")
    tx.set_flag(FREEZE_FLAG, None)
    # A person has looked; what was spent before must not freeze it again at the next action.
    tx.forget_bucket(FREEZE_BUCKET)
    tx.ask_again(now)
    tx.audit("thawed", {}, {"by": by, "why": why})


def _waiting(tx: Tx, intent_id: str) -> Intent:
    intent = tx.intent_like(intent_id)
    if intent is None:
        raise NotPossible(
            f"no action, or more than one, has an id that begins with '{intent_id}'",
            remedy="'compose-agent actions --state=planned' shows those that wait",
        )
    if intent.state is not State.PLANNED or intent.approved_by or intent.reason != Reason.APPROVAL:
        state = (
            f"approved by {intent.approved_by}" if intent.approved_by else f"{intent.state} {intent.reason}"
        )
        raise NotPossible(f"the action {intent.id[:12]} does not wait for approval: it is {state.strip()}")
    return intent


def _subjects(intent: Intent) -> dict[str, str]:
    return {"episode": intent.episode, "intent": intent.id}
