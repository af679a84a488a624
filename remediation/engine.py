"""The loop of remediation: one thread that decides, everything from the journal and into it.

It takes the inbox, asks the guard about planned intents, gives those that may go to the workers, and verifies
those that were acted on. After a start every intent that is ``executing`` is given to a worker anew.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from compose_agent.dockerd.verbs.contract import Actor
from compose_agent.errors import StateError
from compose_agent.failpoints import failpoint
from remediation.clock import LEAST_SECONDS, is_ahead, set_back
from remediation.commands.policies import is_by_hand
from remediation.course import Course
from remediation.deciding import Active, Decider, Outside, Work
from remediation.journal import Journal, Tx
from remediation.model import Intent, Signal, State
from remediation.ours import Ours
from remediation.outcomes import Outcomes
from remediation.planner import Held, Planner, plan_all
from remediation.traces.seen import Seen
from remediation.verify import Missed, NotYet, Verified, verify
from remediation.workers import Means, Workers, join_all
from remediation.world import World

logger = logging.getLogger(__name__)

# How long the deciding thread sleeps when nothing calls it: waits of intents end in between.
_LOOK_SECONDS = 0.25
# While there is no intent that could wait for anything; what is received wakes it.
_CALM_SECONDS = 2.0
# One transaction takes so much of the inbox, so that receiving is not held up for long, and memory is small.
_MOST_SIGNALS = 50
# So many planned intents are looked at in one transaction, the oldest first, and so often in one turn.
_MOST_DUE = 100
_DECIDED_IN_TURN = 5
# How often episodes are looked for that nobody has told of for long.
_TIDY_SECONDS = 60.0
# After the state could not be used.
_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 5.0


class Engine:
    """Decides and acts; ``world`` gives the containers at any moment. ``beat_at`` is when it last turned.

    ``error`` is why nothing can be decided, empty when all is well; the ``workers`` have one of their own.

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
        seen: Seen | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._journal = journal
        self._world = world
        self._planner = planner
        self._active = active
        self._outside = outside
        self._ours = ours
        self._decider = Decider(active, outside, now)
        self._outcomes = Outcomes(active, now)
        self._now = now
        self.beat_at = now()
        self._held = Held()
        self._seen = seen or Seen()
        self._tidied = time.monotonic()
        self.error = ""
        self._news = threading.Event()
        self._anew = threading.Event()
        self._stop = threading.Event()
        means = Means(actor, world, ours, courses or {})
        self.workers = Workers(journal, self._outcomes, means, workers, self.wake)
        self._thread = threading.Thread(target=self._run, name="decide", daemon=True)

    def claim(self) -> None:
        """Count what an earlier run began as ours, before its events are heard; raises StateError."""
        for intent in self._journal.read(lambda view: view.in_state(State.EXECUTING)):
            if is_by_hand(intent):
                continue
            for request in Work.of(intent).requests:
                self._ours.claim(request)

    def start(self) -> None:
        """Go on where the last run ended; raises StateError."""
        if self._journal.read(lambda view: is_ahead(view, self._now())):
            self._journal.write(self._look_anew)
        for intent in self._journal.read(lambda tx: tx.in_state(State.EXECUTING)):
            self.workers.take(Work.of(intent))
        self._thread.start()
        self.workers.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way is looked after at the next start."""
        self._stop.set()
        self._news.set()
        self.workers.stop()
        join_all([self._thread, *self.workers.threads], _STOP_SECONDS)

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
        pause = _LOOK_SECONDS
        while not self._stop.is_set():
            self._news.wait(pause)
            self._news.clear()
            try:
                self._turn()
                pause = _LOOK_SECONDS if self._is_anything_left() else _CALM_SECONDS
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
            self._held = Held()
            self._journal.write(self._look_anew)
        while self._plan() and not self._stop.is_set():
            pass
        for _ in range(_DECIDED_IN_TURN):
            if not self._decide() or self._stop.is_set():
                break
        self._tidy()
        self._verify()

    def _is_anything_left(self) -> bool:
        return bool(self._held.last) or self._journal.read(lambda view: view.is_anything_live())

    def _tidy(self) -> None:
        if time.monotonic() - self._tidied < _TIDY_SECONDS:
            return
        self._tidied = time.monotonic()
        self._journal.write(self._planner.tidy)

    def _plan(self) -> bool:
        """Plan what lies in the inbox; tell whether there is more."""
        if self._held.last and not self._world().engine_error:
            self._held = Held()
        after = self._held.last
        if not (rows := self._journal.read(lambda tx: tx.inbox(_MOST_SIGNALS, after))):
            return False
        world = self._world()
        failpoint("engine.before-plan")
        # A copy, because the transaction may be done over.
        held = Held(after, set(self._held.fingerprints))
        self._journal.write(lambda tx: plan_all(self._planner, tx, rows, world, held))
        self._held = held
        failpoint("engine.after-plan")
        return len(rows) == _MOST_SIGNALS

    def _decide(self) -> bool:
        """Ask the guard about some of what is due; tell whether there is more."""
        now, free = self._now(), self.workers.free()
        if free <= 0 or not (due := self._journal.read(lambda tx: tx.due(now, _MOST_DUE))):
            return False
        world = self._world()
        failpoint("engine.before-decide")
        works = self._journal.write(lambda tx: self._decider.decide(tx, due, world, free))
        failpoint("engine.after-decide")
        for work in works:
            self._seen.committed(work.intent.id, self._now())
            self.workers.take(work)
        return len(due) == _MOST_DUE

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
            case NotYet(detail):
                self._seen.probe(intent.id, self._now(), detail)
        failpoint("engine.after-verified")
