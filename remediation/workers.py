"""The hands of the engine: threads that each see one intent through, from its requests to their outcome.

An intent comes here ``executing`` and leaves with its outcome in the journal, or not at all when this process
is to end: the next one is given it anew, and the actor knows by the ids of the requests what was done.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TypeVar

from compose_agent.dockerd.verbs.contract import Actor, ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.errors import ComposeAgentError, EngineError, StateError
from compose_agent.failpoints import failpoint
from remediation.calls import CALLS
from remediation.commands.policies import is_by_hand
from remediation.course import Course, Listed
from remediation.deciding import Work
from remediation.journal import Journal
from remediation.model import Intent
from remediation.ours import Ours
from remediation.outcomes import Outcomes
from remediation.traces.attempts import Attempts
from remediation.world import World

logger = logging.getLogger(__name__)

T = TypeVar("T")

# After the actor or the state could not be used.
_PAUSE_SECONDS = 1.0
# What fails so often by a fault of this program will fail again.
_MOST_TRIES = 3
# The verb that puts a container of another id in the place of its target.
_MAKES_ANOTHER = "recreate"


class _Stopping(Exception):
    """This process is to end before there is an outcome."""


@dataclass(frozen=True, slots=True)
class Means:
    """What intents are carried out with.

    ``courses`` are of actions whose requests follow from one another; those of others are known beforehand.
    """

    actor: Actor
    world: Callable[[], World]
    ours: Ours
    courses: Mapping[str, Callable[[Intent], Course]]
    attempts: Attempts = field(default_factory=Attempts)


class Workers:
    """``count`` threads; ``freed`` is called whenever one of them can take another intent.

    ``error`` is why what was begun does not go on, empty when all is well.
    """

    def __init__(
        self, journal: Journal, outcomes: Outcomes, means: Means, count: int, freed: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._outcomes = outcomes
        self._means = means
        self._freed = freed
        self.error = ""
        self._stop = threading.Event()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._free = count
        self._lock = threading.Lock()
        self.threads = [
            threading.Thread(target=self._run, name=f"act {number}", daemon=True) for number in range(count)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more; the threads end when what they are asking has answered."""
        self._stop.set()
        for _ in self.threads:
            self._work.put(None)

    def free(self) -> int:
        """Return how many more intents can be taken at once."""
        with self._lock:
            return self._free

    def take(self, work: Work) -> None:
        """See an intent through, as soon as a thread is free."""
        with self._lock:
            self._free -= 1
        self._work.put(work)

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                self._see_through(work)
            except _Stopping:
                pass
            except Exception:  # this worker must take the next one; the intent waits for the next start
                logger.exception("fault in giving up", extra={"intent": work.intent.id})
            finally:
                with self._lock:
                    self._free += 1
                self._freed()

    def _see_through(self, work: Work) -> None:
        """Carry an intent out; one that this program has a fault with is tried again, and then given up.

        Ids make it safe to ask again.
        """
        words = ""
        for _ in range(_MOST_TRIES):
            try:
                return self._carry_out(work)
            except _Stopping:
                raise
            except Exception as error:  # an executing intent that nobody looks at would hold up its target
                logger.exception("fault in acting", extra={"intent": work.intent.id})
                words = f"fault in acting: {error!r}"
            self._stop.wait(_PAUSE_SECONDS)
        return self._end(work, [Outcome(result=Result.UNKNOWN, reason=words)])

    def _carry_out(self, work: Work) -> None:
        begin = self._means.courses.get(work.intent.action)
        course = begin(work.intent) if begin else Listed(work.requests)
        while (request := self._insist(course.next)) is not None:
            self._ask(course, request, by_hand=is_by_hand(work.intent))
        self._end(work, course.outcomes)

    def _end(self, work: Work, outcomes: Sequence[Outcome]) -> None:
        failpoint("engine.before-outcome")
        self._insist(lambda: self._journal.write(lambda tx: self._outcomes.acted(tx, work.intent, outcomes)))
        failpoint("engine.after-outcome")

    def _ask(self, course: Course, request: VerbRequest, *, by_hand: bool) -> None:
        outcome = self._insist(lambda: self._perform(request, by_hand=by_hand))
        self._insist(lambda: course.ended(outcome))

    def _perform(self, request: VerbRequest, *, by_hand: bool) -> Outcome:
        means = self._means
        # What a person has stopped by a command is to stay so, as if they had done it at the host.
        ours = nullcontext() if by_hand else means.ours.acting(request, self._project_of(request))
        with means.attempts.execute(request) as came, ours:
            try:
                outcome = means.actor.perform(request)
                came.append(outcome)
            except ActorUnavailable as error:
                self._note(request, str(error))
                raise
        self._note(request, "")
        return outcome

    def _project_of(self, request: VerbRequest) -> str:
        """Return the project in which a request makes a container, empty if it makes none by itself."""
        if request.verb != _MAKES_ANOTHER:
            return ""
        found = (each for each in self._means.world().containers if each.id == request.target)
        return next((each.compose_project for each in found), "")

    def _note(self, request: VerbRequest, error: str) -> None:
        """Keep why the actor cannot be asked; whom a call is for is not of this host."""
        if request.verb not in CALLS:
            self.error = error

    def _insist(self, work: Callable[[], T]) -> T:
        """Do something until it works; _Stopping when this process is to end, and the next one goes on."""
        said = ""
        while not self._stop.is_set():
            try:
                return work()
            except (ActorUnavailable, EngineError, StateError) as error:
                said = self._trying_again(error, said)
        raise _Stopping

    def _trying_again(self, error: ComposeAgentError, said: str) -> str:
        if str(error) != said:
            logger.warning("what was begun does not go on; trying again", extra={"error": str(error)})
        self._stop.wait(_PAUSE_SECONDS)
        return str(error)


def join_all(threads: Sequence[threading.Thread], seconds: float) -> None:
    """Wait for threads, as far as they were started, for so long in all."""
    deadline = time.monotonic() + seconds
    for thread in threads:
        if thread.ident is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
