"""Carrying intents out: one thread that decides, some that act, everything from the journal and into it.

The deciding thread takes the inbox, asks the guard about planned intents, and verifies those that were acted
on. A worker has one intent, from the transaction that makes it ``executing`` to the one with its outcome.
After a start every intent that is ``executing`` is given to a worker anew: the actor knows by the ids of the
requests what was done.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from compose_agent.dockerd.verbs.contract import Actor, ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.errors import ComposeAgentError, EngineError, StateError
from compose_agent.failpoints import failpoint
from remediation.calls import CALLS
from remediation.clock import LEAST_SECONDS, is_ahead, set_back
from remediation.course import Course, Listed
from remediation.deciding import Active, Decider, Outside, Work
from remediation.journal import Journal, Tx
from remediation.model import Intent, Signal, State
from remediation.ours import Ours
from remediation.outcomes import Outcomes
from remediation.planner import Planner, plan_all
from remediation.verify import Missed, Verified, verify
from remediation.world import World

logger = logging.getLogger(__name__)

T = TypeVar("T")

# How long the deciding thread sleeps when nothing calls it: waits of intents end in between.
_LOOK_SECONDS = 0.25
# One transaction takes so much of the inbox, so that receiving is not held up for long.
_MOST_SIGNALS = 200
# So many planned intents are looked at in one turn, the oldest first.
_MOST_DUE = 500
# How often episodes are looked for that nobody has told of for long.
_TIDY_SECONDS = 60.0
# After the actor or the state could not be used.
_PAUSE_SECONDS = 1.0
# What fails so often by a fault of this program will fail again.
_MOST_TRIES = 3
_STOP_SECONDS = 5.0
# The verb that puts a container of another id in the place of its target.
_MAKES_ANOTHER = "recreate"


class _Stopping(Exception):
    """This process is to end before there is an outcome."""


class Engine:
    """Decides and acts; ``world`` gives the containers at any moment. ``beat_at`` is when it last turned.

    ``error`` is why nothing can be decided, ``actor_error`` why what was begun does not go on; empty when all
    is well.

    ``courses`` are of actions whose requests follow from one another; those of others are known beforehand.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        actor: Actor,
        world: Callable[[], World],
        planner: Planner,
        active: Active,
        outside: Outside,
        ours: Ours,
        workers: int,
        courses: Mapping[str, Callable[[Intent], Course]] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._actor = actor
        self._world = world
        self._planner = planner
        self._active = active
        self._outside = outside
        self._ours = ours
        self._courses = courses or {}
        self._decider = Decider(active, outside, now)
        self._outcomes = Outcomes(active, now)
        self._now = now
        self.beat_at = now()
        self._tidied = time.monotonic()
        self.error = ""
        self.actor_error = ""
        self._news = threading.Event()
        self._anew = threading.Event()
        self._stop = threading.Event()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._free = workers
        self._lock = threading.Lock()
        names = [f"act {number}" for number in range(workers)]
        self._threads = [threading.Thread(target=self._run, name="decide", daemon=True)]
        self._threads += [threading.Thread(target=self._act, name=name, daemon=True) for name in names]

    def claim(self) -> None:
        """Count what an earlier run began as ours, before its events are heard; raises StateError."""
        for intent in self._journal.read(lambda view: view.in_state(State.EXECUTING)):
            for request in Work.of(intent).requests:
                self._ours.claim(request)

    def start(self) -> None:
        """Go on where the last run ended; raises StateError."""
        if self._journal.read(lambda view: is_ahead(view, self._now())):
            self._journal.write(self._look_anew)
        for intent in self._journal.read(lambda tx: tx.in_state(State.EXECUTING)):
            self._hand_out(Work.of(intent))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way is looked after at the next start."""
        self._stop.set()
        self._news.set()
        for _ in self._threads:
            self._work.put(None)
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def receive(self, signals: Sequence[Signal]) -> None:
        """Have signals on disk when this returns; raises StateError."""
        failpoint("engine.before-receive")
        self._journal.receive(signals)
        failpoint("engine.after-receive")
        self._news.set()

    def wake(self) -> None:
        """Look now: something that intents wait for may have changed."""
        self._news.set()

    def reconsider(self) -> None:
        """Ask anew about everything that waits: what it waits for may be over by another configuration."""
        self._anew.set()
        self._news.set()

    def _look_anew(self, tx: Tx) -> None:
        now = self._now()
        set_back(tx, now)
        tx.ask_again(now)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._news.wait(_LOOK_SECONDS)
            self._news.clear()
            try:
                self._turn()
                self.error = ""
            except StateError as error:
                self._failed(str(error))
            except Exception as error:  # the next turn must come, whatever this one met
                logger.exception("fault in deciding")
                self._failed(f"fault in deciding: {error!r}")

    def _failed(self, words: str) -> None:
        if words != self.error:
            logger.error("remediation stands still", extra={"error": words})
        self.error = words
        self._stop.wait(_PAUSE_SECONDS)

    def _turn(self) -> None:
        before, self.beat_at = self.beat_at, self._now()
        if self._anew.is_set() or self.beat_at < before - LEAST_SECONDS:
            self._anew.clear()
            self._journal.write(self._look_anew)
        while self._plan() == _MOST_SIGNALS and not self._stop.is_set():
            pass
        self._decide()
        self._tidy()
        self._verify()

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        self._journal.write(self._planner.tidy)

    def _plan(self) -> int:
        if not (rows := self._journal.read(lambda tx: tx.inbox(_MOST_SIGNALS))):
            return 0
        world = self._world()
        failpoint("engine.before-plan")
        planned = self._journal.write(lambda tx: plan_all(self._planner, tx, rows, world))
        failpoint("engine.after-plan")
        return planned

    def _decide(self) -> None:
        now, free = self._now(), self._free_workers()
        if free <= 0 or not (due := self._journal.read(lambda tx: tx.due(now, _MOST_DUE))):
            return
        world = self._world()
        failpoint("engine.before-decide")
        works = self._journal.write(lambda tx: self._decider.decide(tx, due, world, free))
        failpoint("engine.after-decide")
        for work in works:
            self._hand_out(work)

    def _verify(self) -> None:
        if not (intents := self._journal.read(lambda tx: tx.in_state(State.VERIFYING))):
            return
        world = self._world()
        for intent in intents:
            try:
                self._verify_one(intent, world)
            except StateError:
                raise
            except Exception as error:  # the others are to be verified, whatever this one met
                logger.exception("fault in verifying", extra={"intent": intent.id})
                self._missed(intent, f"it could not be verified: {error!r}")

    def _missed(self, intent: Intent, detail: str) -> None:
        self._journal.write(lambda tx: self._outcomes.missed(tx, intent, detail))

    def _verify_one(self, intent: Intent, world: World) -> None:
        policy = self._active.policy(intent.policy)
        if policy is None or policy.verify is None:
            self._journal.write(lambda tx: self._outcomes.helped(tx, intent, "it is not verified"))
            return
        asked = policy.verify
        query = self._outside.holds(asked.query, intent.acted_at) if asked.query else None
        episode = self._journal.read(lambda tx: tx.episode(intent.episode))
        resolved = episode is None or bool(episode.resolved_at)
        verdict = verify(intent, asked, world, self._now(), resolved=resolved, query=query)
        failpoint("engine.before-verified")
        match verdict:
            case Verified(detail):
                self._journal.write(lambda tx: self._outcomes.helped(tx, intent, detail))
            case Missed(detail):
                self._missed(intent, detail)
        failpoint("engine.after-verified")

    def _free_workers(self) -> int:
        with self._lock:
            return self._free

    def _hand_out(self, work: Work) -> None:
        with self._lock:
            self._free -= 1
        self._work.put(work)

    def _act(self) -> None:
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
                self._news.set()

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
        begin = self._courses.get(work.intent.action)
        course = begin(work.intent) if begin else Listed(work.requests)
        while (request := self._insist(course.next)) is not None:
            self._ask(course, request)
        self._end(work, course.outcomes)

    def _end(self, work: Work, outcomes: Sequence[Outcome]) -> None:
        failpoint("engine.before-outcome")
        self._insist(lambda: self._journal.write(lambda tx: self._outcomes.acted(tx, work.intent, outcomes)))
        failpoint("engine.after-outcome")

    def _ask(self, course: Course, request: VerbRequest) -> None:
        outcome = self._insist(lambda: self._perform(request))
        self._insist(lambda: course.ended(outcome))

    def _perform(self, request: VerbRequest) -> Outcome:
        with self._ours.acting(request, self._project_of(request)):
            try:
                outcome = self._actor.perform(request)
            except ActorUnavailable as error:
                self._note(request, str(error))
                raise
        self._note(request, "")
        return outcome

    def _project_of(self, request: VerbRequest) -> str:
        """Return the project in which a request makes a container, empty if it makes none by itself."""
        if request.verb != _MAKES_ANOTHER:
            return ""
        found = (each for each in self._world().containers if each.id == request.target)
        return next((each.compose_project for each in found), "")

    def _note(self, request: VerbRequest, error: str) -> None:
        """Keep why the actor cannot be asked; whom a call is for is not of this host."""
        if request.verb not in CALLS:
            self.actor_error = error

    def _insist(self, work: Callable[[], T]) -> T:
        """Do something until it works; _Stopping when this process is to end, and the next one goes on."""
        said = ""
        while not self._stop.is_set():
            try:
                return work()
            except StateError as error:
                self._failed(str(error))
            except (ActorUnavailable, EngineError) as error:
                said = self._trying_again(error, said)
        raise _Stopping

    def _trying_again(self, error: ComposeAgentError, said: str) -> str:
        if str(error) != said:
            logger.warning("the actor cannot be asked; trying again", extra={"error": str(error)})
        self._stop.wait(_PAUSE_SECONDS)
        return str(error)
