"""Keeps commands from the moment they come until the manager knows their end."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection, Mapping

from compose_agent.boottime import Moment, after
from compose_agent.errors import ComposeAgentError, StateError
from compose_agent.failpoints import failpoint
from fleet.agent.commands.clock import ManagerClock
from fleet.agent.commands.journal import Journal, Kept
from fleet.agent.commands.verbs.contract import Again, Means, Outcome, Refused, Verb
from fleet.envelopes.command import ENDS, Command, Report, Stage

logger = logging.getLogger(__name__)

# So many commands at once; one that waits for the guard of remediation holds a thread until its deadline.
THREADS = 16
# After the state, or what a verb needs, could not be used.
_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 5.0


class Keeper:
    """Accepts, begins once, and reports. ``report`` sends to the manager, as far as there is a link.

    ``allowed`` are the names of the verbs that this host carries out, None for all.
    """

    def __init__(
        self,
        journal: Journal,
        verbs: Mapping[str, Verb],
        clock: ManagerClock,
        report: Callable[[Report], None],
        allowed: Callable[[], Collection[str] | None],
    ) -> None:
        self._journal = journal
        self._verbs = verbs
        self._clock = clock
        self._report = report
        self._allowed = allowed
        self._work: queue.SimpleQueue[Kept | None] = queue.SimpleQueue()
        self._under_way: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"command {number}", daemon=True)
            for number in range(THREADS)
        ]

    def start(self) -> None:
        """Go on with what was accepted before; raises StateError."""
        for kept in self._journal.open():
            if kept.stage not in ENDS:
                self._begin(kept)
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin nothing more; what is under way is gone on with after the next start."""
        self._stopping.set()
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_STOP_SECONDS / len(self._threads))

    def take(self, commands: Collection[Command]) -> None:
        """Accept commands, or say of known ones how they stand; the clock must have an answer."""
        fresh = [self._judged(each) for each in commands]
        failpoint("command.before-accept")
        try:
            kept = self._journal.take(fresh)
        except StateError as error:  # the manager sends them again, as nobody has accepted them
            logger.error("commands cannot be accepted", extra={"error": str(error)})  # noqa: TRY400 - no defect
            return
        failpoint("command.after-accept")
        for each in kept:
            self._report(each.report)
            if each.stage not in ENDS:
                self._begin(each)

    def confirm(self, ids: Collection[str]) -> None:
        """Hear that the manager knows how commands have ended."""
        try:
            self._journal.confirm(ids)
        except StateError as error:  # they are sent once more with the next connection
            logger.warning("it cannot be kept what the manager knows", extra={"error": str(error)})

    def tell_again(self) -> None:
        """Report everything whose end the manager does not know; for a new connection. Raises StateError."""
        for kept in self._journal.open():
            self._report(kept.report)

    def _judged(self, command: Command) -> Kept:
        """Return what is to be kept of a command if it is new."""
        latest = self._clock.latest()
        left = command.deadline - latest if latest is not None else 0.0
        stage, detail = Stage.ACCEPTED, ""
        if left <= 0:
            stage, detail = Stage.EXPIRED, "it came when its deadline had passed"
        else:
            try:
                self._verb(command).check(command)
            except Refused as refused:
                stage, detail = Stage.REFUSED, refused.message
        return Kept(command, after(left), Report(id=command.id, stage=stage, detail=detail))

    def _verb(self, command: Command) -> Verb:
        verb, allowed = self._verbs.get(command.verb), self._allowed()
        if verb is None:
            raise Refused(f"there is no verb '{command.verb}' on this host, only {', '.join(self._verbs)}")
        if allowed is not None and command.verb not in allowed:
            raise Refused(f"this host does not carry out {command.verb}: see the option agent.commands")
        return verb

    def _begin(self, kept: Kept) -> None:
        with self._lock:
            if kept.command.id in self._under_way:
                return
            self._under_way.add(kept.command.id)
        self._work.put(kept)

    def _run(self) -> None:
        while (kept := self._work.get()) is not None and not self._stopping.is_set():
            self._see_through(kept)

    def _see_through(self, kept: Kept) -> None:
        while not self._stopping.is_set():
            try:
                current = self._journal.find(kept.command.id) or kept
                if current.stage not in ENDS and (outcome := self._carry_out(current)) is not None:
                    self._ended(current.command, outcome)
                break
            except StateError as error:
                logger.warning("a command does not go on", extra={"error": str(error)})
                self._stopping.wait(_PAUSE_SECONDS)
        with self._lock:
            self._under_way.discard(kept.command.id)

    def _carry_out(self, kept: Kept) -> Outcome | None:
        """Return how it ended, None when this process is to end first."""
        command, said = kept.command, ""
        earlier = begun = kept.stage is Stage.RUNNING  # by a process before this one
        while not self._stopping.is_set():
            try:
                verb = self._verb(command)
                if kept.begin_by.is_past() and not (earlier and verb.repeatable):
                    return _too_late(earlier=earlier, said=said)
                if not begun:
                    self._running(command)
                    begun = True
                return verb.run(command, self._means(kept.begin_by, command))
            except Refused as refused:
                return Outcome(Stage.REFUSED, refused.message)
            except Again as error:
                said = error.message
            except StateError:
                raise
            except ComposeAgentError as error:
                return Outcome(Stage.FAILED, str(error))
            except Exception as error:  # the next command must come, whatever this one met
                logger.exception("fault in a command", extra={"command": command.id})
                return Outcome(Stage.FAILED, f"fault of the agent: {error!r}")
            self._stopping.wait(_PAUSE_SECONDS)
        return None

    def _means(self, begin_by: Moment, command: Command) -> Means:
        def progress(detail: str) -> None:
            self._report(Report(id=command.id, stage=Stage.RUNNING, detail=detail))

        return Means(begin_by, progress, self._stopping.wait)

    def _running(self, command: Command) -> None:
        report = Report(id=command.id, stage=Stage.RUNNING)
        failpoint("command.before-begin")
        self._journal.report(report)
        failpoint("command.after-begin")

    def _ended(self, command: Command, outcome: Outcome) -> None:
        report = Report(id=command.id, stage=outcome.stage, detail=outcome.detail, result=outcome.result)
        failpoint("command.before-end")
        self._journal.report(report)
        failpoint("command.after-end")
        self._report(report)


def _too_late(*, earlier: bool, said: str) -> Outcome:
    if earlier:
        return Outcome(Stage.UNKNOWN, "the agent ended while it was at it, and the deadline has passed since")
    waited = f", it waited: {said}" if said else ""
    return Outcome(Stage.EXPIRED, f"it was not begun in time{waited}")
