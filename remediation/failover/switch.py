"""One fail-over from its first step to its last: the course of an intent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec

from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.failpoints import failpoint
from remediation.failover.active_passive import PassiveState, Phase, give_way
from remediation.failover.look import Seen
from remediation.failover.model import Do, Group, Numbers, Step
from remediation.failover.states import State, copied, ended, next_step, read_state, write_state
from remediation.journal import Journal, Tx
from remediation.model import Intent

logger = logging.getLogger(__name__)

_NOUNS: Mapping[Do, str] = {
    Do.STOP: "stop",
    Do.START: "start",
    Do.DISCONNECT: "disconnection",
    Do.CONNECT: "connection",
}
_PAST: Mapping[Do, str] = {
    Do.STOP: "stopped",
    Do.START: "started",
    Do.DISCONNECT: "disconnected",
    Do.CONNECT: "connected",
}


class Switch:
    """Takes a group from step to step until it is at rest. See :class:`remediation.course.Course`.

    ``look`` inspects all members of the intent's group; None when there is none. What is to be asked for is
    on disk before the actor is asked, and so is how it ended, together with its entry in the audit, before
    the next look.
    """

    def __init__(
        self,
        intent: Intent,
        journal: Journal,
        look: Callable[[], Seen | None],
        now: Callable[[], float],
    ) -> None:
        self.outcomes: list[Outcome] = []
        self._intent = intent
        self._journal = journal
        self._look = look
        self._now = now
        self._state: State | None = None
        self._under_way: tuple[Group, Step] | None = None
        self._done: list[str] = []
        self._failure: Outcome | None = None

    def next(self) -> VerbRequest | None:
        """Return the next step as a request; raises ActorUnavailable while a member cannot be seen."""
        found = self._failure or self._step()
        if isinstance(found, Step):
            return found.request()
        self.outcomes.append(found)
        return None

    def _step(self) -> Step | Outcome:
        """Look, and return what is to be done now, on disk already, or what has come of it all."""
        if (seen := self._look()) is None:
            return self._refusal(f"there is no one fail-over group of {self._intent.target.name}")
        if seen.blind:
            raise ActorUnavailable(seen.blind)
        before = self._state or self._journal.read(lambda view: read_state(view, seen.group))
        state = copied(before)
        if objection := self._begun(state, seen):
            return self._refusal(objection)
        step = next_step(seen.group, state, seen.members, self._now())
        if state != before:
            failpoint("failover.before-step")
            self._journal.write(lambda tx: write_state(tx, seen.group, state))
            failpoint("failover.after-step")
        self._state = state
        self._under_way = (seen.group, step) if step else None
        return step or self._at_rest(seen.group, state)

    def ended(self, outcome: Outcome) -> None:
        """Take note of how the step ended."""
        if self._state is None or self._under_way is None:
            raise RuntimeError("no step was asked for")
        group, step = self._under_way
        state = copied(self._state)
        ended(state, outcome.result, self._now())

        def work(tx: Tx) -> None:
            write_state(tx, group, state)
            self._audit(tx, group, step, outcome)

        failpoint("failover.before-ended")
        self._journal.write(work)
        failpoint("failover.after-ended")
        self._state = state
        if outcome.result is Result.DONE:
            self._done.append(f"{_PAST[step.do]} {step.member}")
        elif not isinstance(state, PassiveState) or step.do is Do.STOP:
            # One that cannot be started is followed by the next one; one that cannot be stopped by nobody.
            self._failure = self._failed(step, outcome)

    def _begun(self, state: State, seen: Seen) -> str:
        """Have steps take their ids from this intent, and begin what it wishes; return why that cannot be."""
        if state.numbers.of == self._intent.id or state.asked is not None:
            return ""
        state.numbers = Numbers(self._intent.id)
        if not seen.away_from:
            return ""
        if not isinstance(state, PassiveState):
            return (
                f"all of {seen.group.name} run, and who of them is on its network is for their health to say"
            )
        return give_way(state, seen.members, seen.away_from)

    def _at_rest(self, group: Group, state: State) -> Outcome:
        done = ", ".join(self._done)
        if isinstance(state, PassiveState) and state.phase is not Phase.STEADY:
            before = f" ({done})" if done else ""
            reason = f"nobody of {group.name} could be started{before}"
            return Outcome(result=Result.FAILED, reason=reason)
        return Outcome(result=Result.DONE, reason=done or f"{group.name} was as it should be already")

    def _refusal(self, reason: str) -> Outcome:
        # In the middle it is no refusal: that would be for good, and what was begun is to be tried again.
        return Outcome(result=Result.FAILED if self._done else Result.REFUSED, reason=reason)

    def _failed(self, step: Step, outcome: Outcome) -> Outcome:
        reason = f"{step.member} could not be {_PAST[step.do]}: {outcome.reason}"
        refused = outcome.result is Result.REFUSED
        return self._refusal(reason) if refused else Outcome(result=outcome.result, reason=reason)

    def _audit(self, tx: Tx, group: Group, step: Step, outcome: Outcome) -> None:
        about = {"episode": self._intent.episode, "intent": self._intent.id}
        subjects = {**about, "group": group.name, "container": step.member}
        detail = "; ".join(filter(None, (step.reason, outcome.reason)))
        fields = {
            "action": _NOUNS[step.do],
            "target": f"container:{step.member}",
            "result": outcome.result,
            "detail": detail,
            "details": msgspec.to_builtins(outcome.details),
        }
        tx.audit("acted", subjects, fields)
        logger.info("fail-over of %s: %s %s is %s", group.name, step.do, step.member, outcome.result)
