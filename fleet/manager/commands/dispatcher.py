"""Brings commands to their agents and their ends to the disk: one thread, woken by whatever happens."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from compose_agent.errors import StateError
from compose_agent.failpoints import failpoint
from fleet.envelopes.command import (
    CAPABILITY,
    CLOCK,
    COMMAND,
    RECEIVED,
    REPORT,
    Clock,
    MalformedEnvelope,
    Received,
    Report,
    Stage,
    packed,
    unpacked,
)
from fleet.manager.clock import SteadyClock
from fleet.manager.commands.model import Issued
from fleet.manager.commands.store import CommandStore
from fleet.manager.custom import Custom
from fleet.manager.model import Node

logger = logging.getLogger(__name__)

# So long after a deadline an end that was reached in time has come, if its agent is there at all.
GRACE_SECONDS = 5.0
_SWEEP_SECONDS = 0.5
_MOST_TOGETHER = 512
# What an agent that is there has not answered for so long was lost on the way.
_SEND_AGAIN_SECONDS = 10.0
# After the state could not be written; agents keep what they have to say.
_PAUSE_SECONDS = 1.0
# A stage that is told of late says nothing about one that comes after it.
_ORDER = {Stage.WAITING: 0, Stage.SENT: 1, Stage.UNANSWERED: 1, Stage.ACCEPTED: 2, Stage.RUNNING: 3}


@dataclass(frozen=True, slots=True)
class _Arrived:
    uid: bytes


@dataclass(frozen=True, slots=True)
class _Fresh:
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Said:
    uid: bytes
    report: Report


_News = _Arrived | _Fresh | _Said


class Dispatcher:
    """See :class:`fleet.manager.custom.Handler`. ``changed`` hears of commands whose stage is another one.

    ``error`` is why nothing can be written, empty when it can.
    """

    def __init__(
        self,
        store: CommandStore,
        custom: Custom,
        clock: SteadyClock,
        changed: Callable[[Sequence[Issued]], None],
    ) -> None:
        self._store = store
        self._custom = custom
        self._clock = clock
        self._changed = changed
        self._open: dict[str, Issued] = {}
        self._of_node: defaultdict[bytes, dict[str, None]] = defaultdict(dict)
        self._sent_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._news: queue.SimpleQueue[_News | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)
        self._swept_at = time.monotonic()
        self.error = ""

    def start(self) -> None:
        """Take up the commands that have not ended; raises StateError."""
        self._remember(self._store.open())
        self._thread.start()

    def stop(self) -> None:
        """End; what has not ended is taken up by the next start."""
        self._news.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    def reaches(self, uid: bytes) -> bool:
        """Tell whether an agent is there that takes commands."""
        return self._custom.reaches(uid, CAPABILITY)

    def added(self, commands: Iterable[Issued]) -> None:
        """Bring commands that are on disk to their agents."""
        fresh = list(commands)
        self._remember(fresh)
        self._news.put(_Fresh([each.id for each in fresh]))

    def get(self, command_id: str) -> Issued | None:
        """Return a command that has not ended."""
        with self._lock:
            return self._open.get(command_id)

    def count(self) -> int:
        """Return how many commands have not ended."""
        with self._lock:
            return len(self._open)

    # What the agents say; on their loop.

    def arrived(self, node: Node) -> None:
        """Hear that an agent is there (again)."""
        if node.uid in self._of_node:
            self._news.put(_Arrived(node.uid))

    def take(self, node: Node, kind: str, data: bytes) -> None:
        """Take a message of an agent."""
        try:
            if kind == CLOCK:
                answer = Clock(asked=unpacked(Clock, data).asked, now=self._clock.now())
                self._custom.send(node.uid, CAPABILITY, CLOCK, packed(answer), urgent=True)
            elif kind == REPORT:
                self._news.put(_Said(node.uid, unpacked(Report, data)))
        except MalformedEnvelope as error:
            logger.warning(
                "an agent says what is no report", extra={"node": node.node_id, "error": str(error)}
            )

    # The thread.

    def _run(self) -> None:
        while True:
            news: list[_News] = []
            with suppress(queue.Empty):
                while len(news) < _MOST_TOGETHER:
                    one = self._news.get(timeout=0 if news else _SWEEP_SECONDS)
                    if one is None:
                        return
                    news.append(one)
            try:
                self._turn(news)
            except StateError as error:
                self._failed(news, str(error))
            except Exception:  # the next turn must come, whatever this one met
                logger.exception("fault in dispatching commands")

    def _failed(self, news: list[_News], error: str) -> None:
        if not self.error:
            logger.error("commands cannot be written", extra={"error": error})
        self.error = error
        for each in news:
            self._news.put(each)
        time.sleep(_PAUSE_SECONDS)

    def _turn(self, news: Sequence[_News]) -> None:
        now = self._clock.now()
        after: dict[str, Issued] = {}
        to_send: dict[str, None] = {}
        confirmed: defaultdict[bytes, list[str]] = defaultdict(list)
        for each in news:
            match each:
                case _Said(uid, report):
                    self._hear(uid, report, now, after, confirmed)
                case _Arrived(uid):
                    to_send.update(dict.fromkeys(self._open_of(uid)))
                case _Fresh(ids):
                    to_send.update(dict.fromkeys(ids))
        if time.monotonic() - self._swept_at >= _SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            self._sweep(now, after)
            to_send.update(dict.fromkeys(self._lost()))
        sendable = self._sendable(to_send, now, after)
        self._write(list(after.values()))
        for issued in sendable:
            self._sent_at[issued.id] = time.monotonic()
            failpoint("dispatch.before-send")
            self._custom.send(issued.uid, CAPABILITY, COMMAND, packed(issued.command))
            failpoint("dispatch.after-send")
        for uid, ids in confirmed.items():
            failpoint("dispatch.before-confirm")
            self._custom.send(uid, CAPABILITY, RECEIVED, packed(Received(ids)))

    def _hear(
        self,
        uid: bytes,
        report: Report,
        now: float,
        after: dict[str, Issued],
        confirmed: defaultdict[bytes, list[str]],
    ) -> None:
        known = after.get(report.id) or self.get(report.id)
        if known is not None and known.uid != uid:
            logger.warning("an agent speaks of another one's command", extra={"command": report.id})
            return
        said = Issued.at(known, report.stage, now, report.detail, report.result) if known else None
        if said is None or said.is_over:
            confirmed[uid].append(report.id)  # also of one that we have forgotten, or know the end of
        if said is None or known is None or known.is_over:
            return
        if said.is_over or _ORDER.get(said.stage, 0) >= _ORDER[known.stage]:
            after[said.id] = said

    def _sendable(self, ids: Iterable[str], now: float, after: dict[str, Issued]) -> list[Issued]:
        """Return those whose agents are there; that they may have been sent is on disk before they are."""
        found = []
        for each in ids:
            issued = after.get(each) or self.get(each)
            if issued is None or issued.is_over or not self.reaches(issued.uid):
                continue
            if issued.stage is Stage.WAITING:
                if now >= issued.command.deadline:
                    continue  # it expires, having never been sent
                issued = after[each] = issued.at(Stage.SENT, now)
            found.append(issued)
        return found

    def _sweep(self, now: float, after: dict[str, Issued]) -> None:
        with self._lock:
            late = [each for each in self._open.values() if now >= each.command.deadline]
        for each in late:
            if each.id in after:
                continue
            if each.stage is Stage.WAITING:
                words = "its agent was not there before its deadline, and it was never sent"
                after[each.id] = each.at(Stage.EXPIRED, now, words)
            elif now >= each.command.deadline + GRACE_SECONDS and self._is_unanswered(each):
                words = "it was sent and its end is not known; its agent says what it was when it is back"
                after[each.id] = each.at(Stage.UNANSWERED, now, words)

    def _is_unanswered(self, issued: Issued) -> bool:
        """Tell whether nobody can say how a command stands; what an agent is at it may still be at."""
        begun = issued.stage in (Stage.ACCEPTED, Stage.RUNNING)
        return issued.stage is Stage.SENT or (begun and not self.reaches(issued.uid))

    def _lost(self) -> list[str]:
        """Return what was sent and not answered for so long that it is sent again."""
        before = time.monotonic() - _SEND_AGAIN_SECONDS
        with self._lock:
            sent = [each for each in self._open.values() if each.stage in (Stage.SENT, Stage.UNANSWERED)]
        return [each.id for each in sent if self._sent_at.get(each.id, 0.0) < before]

    def _write(self, changed: Sequence[Issued]) -> None:
        if not changed:
            return
        failpoint("dispatch.before-write")
        self._store.put(changed)
        failpoint("dispatch.after-write")
        self.error = ""
        self._remember(changed)
        self._changed(changed)

    def _remember(self, commands: Iterable[Issued]) -> None:
        with self._lock:
            for each in commands:
                if not each.is_over:
                    self._open[each.id] = each
                    self._of_node[each.uid][each.id] = None
                elif self._open.pop(each.id, None):
                    self._sent_at.pop(each.id, None)
                    of_node = self._of_node[each.uid]
                    of_node.pop(each.id, None)
                    if not of_node:
                        del self._of_node[each.uid]

    def _open_of(self, uid: bytes) -> list[str]:
        with self._lock:
            return list(self._of_node.get(uid, ()))
