"""The actor in this process: each request once, whatever ends this process, the Engine, or both."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.budget import Admission
from compose_agent.dockerd.verbs.contract import ActorUnavailable, Facts, Refused, Verb
from compose_agent.dockerd.verbs.journal import Entry, Journal
from compose_agent.dockerd.verbs.locks import Locks
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.dockerd.verbs.optin import OptIn
from compose_agent.dockerd.verbs.pursuit import Patience, Pursuit
from compose_agent.errors import EngineError, StateError
from compose_agent.failpoints import failpoint

logger = logging.getLogger(__name__)
PATIENCE = Patience()


class LocalActor:
    """See :class:`compose_agent.dockerd.verbs.contract.Actor`.

    ``verbs`` are those it has, by name; ``opt_in`` and ``budget`` may refuse what a verb would do.
    """

    def __init__(
        self,
        client: EngineClient,
        journal: Journal,
        verbs: Mapping[str, Verb],
        opt_in: OptIn,
        budget: Admission,
        *,
        patience: Patience = PATIENCE,
    ) -> None:
        self._client = client
        self._journal = journal
        self._verbs = verbs
        self._opt_in = opt_in
        self._budget = budget
        self._patience = patience
        self._stopping = threading.Event()
        self._locks = Locks()
        # Held from asking the budget to taking from it.
        self._admission = threading.Lock()

    def perform(self, request: VerbRequest) -> Outcome:
        """Do it once and wait for the outcome, as long as the verb takes; raises ActorUnavailable.

        Requests for the same target wait for one another.
        """
        with self._locks.holding(f"id {request.id}"), self._locks.holding(f"target {request.target}"):
            try:
                return self._perform(request)
            except StateError as error:
                raise ActorUnavailable(
                    f"the actor cannot write down what it does: {error.message}", remedy=error.remedy
                ) from error

    def standing(self, request_id: str) -> Standing:
        """Return what is known of an id, without doing anything; raises ActorUnavailable."""
        try:
            entry = self._journal.find(request_id)
        except StateError as error:
            raise ActorUnavailable(error.message, remedy=error.remedy) from error
        if entry is None:
            return Standing.UNKNOWN
        return Standing.STARTED if entry.outcome is None else Standing.ENDED

    def close(self) -> None:
        """Let go of whoever waits, with ActorUnavailable; what was begun is gone on with after a restart."""
        self._stopping.set()

    def _perform(self, request: VerbRequest) -> Outcome:
        entry = self._journal.find(request.id)
        if entry is None:
            return self._begin(request)
        if not _is_same(entry.request, request):
            words = f"{entry.request.verb} of {entry.request.target}"
            return Outcome(
                result=Result.REFUSED, reason=f"the id {request.id} stands for another request, {words}"
            )
        return entry.outcome if entry.outcome is not None else self._resume(entry)

    def _begin(self, request: VerbRequest) -> Outcome:
        subject = request.target
        try:
            verb = self._verb(request)
            facts = dict(verb.prepare(self._client, request))
            subject = str(facts["name"])
            self._require_opt_in(subject, facts.pop("labels"), verb)
            self._start(request, subject, facts)
        except Refused as refused:
            return self._refuse(request, subject, refused)
        except EngineError as error:
            raise ActorUnavailable(f"nothing was done: {error.message}", remedy=error.remedy) from error
        return self._end(request, self._pursuit(verb, request, facts).send())

    def _resume(self, entry: Entry) -> Outcome:
        """Go on with what was begun before a crash, or before the Engine went away."""
        request = entry.request
        try:
            verb = self._verb(request)
        except Refused as refused:
            raise ActorUnavailable(f"{request.id} was begun, but {refused.message}") from refused
        logger.info("looking what became of %s of %s (%s)", request.verb, request.target, request.id)
        return self._end(request, self._pursuit(verb, request, entry.facts).find_out())

    def _verb(self, request: VerbRequest) -> Verb:
        verb = self._verbs.get(request.verb)
        if verb is None:
            raise Refused(f"there is no verb '{request.verb}', only {', '.join(sorted(self._verbs))}")
        return verb

    def _pursuit(self, verb: Verb, request: VerbRequest, facts: Facts) -> Pursuit:
        return Pursuit(self._client, verb, request, facts, patience=self._patience, wait=self._stopping.wait)

    def _require_opt_in(self, name: str, labels: Mapping[str, str], verb: Verb) -> None:
        if reason := self._opt_in.refusal(name, labels, verb.action):
            raise Refused(reason)

    def _start(self, request: VerbRequest, subject: str, facts: Facts) -> None:
        with self._admission:
            if reason := self._budget.refusal(self._journal, subject):
                raise Refused(reason)
            failpoint("actor.before-start")
            self._journal.start(request, subject, facts)
            failpoint("actor.after-start")
        logger.info("%s of %s (%s): %s", request.verb, subject, request.id, request.reason or "asked for")

    def _refuse(self, request: VerbRequest, subject: str, refused: Refused) -> Outcome:
        outcome = Outcome(result=Result.REFUSED, reason=refused.message)
        failpoint("actor.before-refuse")
        self._journal.refuse(request, subject, outcome)
        failpoint("actor.after-refuse")
        logger.info("%s of %s (%s) refused: %s", request.verb, subject, request.id, refused.message)
        return outcome

    def _end(self, request: VerbRequest, outcome: Outcome) -> Outcome:
        failpoint("actor.before-end")
        self._journal.end(request.id, outcome)
        failpoint("actor.after-end")
        words = f": {outcome.reason}" if outcome.reason else ""
        logger.info("%s of %s (%s) is %s%s", request.verb, request.target, request.id, outcome.result, words)
        return outcome


def _is_same(one: VerbRequest, other: VerbRequest) -> bool:
    return (one.verb, one.target, one.arguments) == (other.verb, other.target, other.arguments)
