"""Carries jobs out: one thread, woken by every change of a command that is a part of one."""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

import msgspec

from compose_agent.errors import StateError
from compose_agent.failpoints import failpoint
from fleet.envelopes.command import Stage
from fleet.manager.commands.asked import Order
from fleet.manager.commands.dispatcher import GRACE_SECONDS
from fleet.manager.commands.issuer import Origin
from fleet.manager.commands.model import Issued
from fleet.manager.commands.part import Commands
from fleet.manager.jobs.model import Job, Part, Spread, State
from fleet.manager.jobs.plan import Worker, after_end, assignments, exhausted, overdue, state_of
from fleet.manager.jobs.store import JobStore, put_in
from fleet.manager.model import Node
from fleet.manager.registry import Registry
from fleet.manager.selector import parse_selector

logger = logging.getLogger(__name__)

# Room on a node, or its coming back, is noticed within this time.
_LOOK_SECONDS = 1.0


class _Running:
    """A job with its parts, by the number and by the command that is out."""

    def __init__(self, job: Job, parts: Sequence[Part]) -> None:
        self.job = job
        self.parts = {part.number: part for part in parts}
        self.of_command = {part.attempts[-1].command: part.number for part in parts if part.is_out}

    def put(self, part: Part) -> None:
        self.parts[part.number] = part
        for attempt in part.attempts[-1:]:
            if part.is_out:
                self.of_command[attempt.command] = part.number
            else:
                self.of_command.pop(attempt.command, None)


class Driver:
    """``error`` is why jobs do not go on, empty when they do."""

    def __init__(self, store: JobStore, commands: Commands, registry: Registry) -> None:
        self._store = store
        self._commands = commands
        self._registry = registry
        self._running: dict[str, _Running] = {}
        self._lock = threading.RLock()
        self._changed: queue.SimpleQueue[Issued] = queue.SimpleQueue()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobs", daemon=True)
        self.error = ""
        commands.listen(self._hear)

    def start(self) -> None:
        """Go on with what had not ended, and with what its commands have come to since; raises StateError."""
        for job, parts in self._store.running():
            running = self._running[job.id] = _Running(job, parts)
            for command in list(running.of_command):
                if issued := self._commands.store.get(command):
                    self._changed.put(issued)
        self._thread.start()

    def stop(self) -> None:
        """End; the next start goes on."""
        self._stopping.set()
        self._news.set()
        if self._thread.ident is not None:
            self._thread.join()

    def add(self, job: Job, parts: Sequence[Part]) -> None:
        """Begin a job; it is on disk when this returns. Raises StateError."""
        self._store.put(job, parts)
        with self._lock:
            self._running[job.id] = _Running(job, parts)
        self._news.set()

    def get(self, job_id: str) -> tuple[Job, list[Part]] | None:
        """Return a job with its parts as they stand; raises StateError."""
        with self._lock:
            if running := self._running.get(job_id):
                return running.job, list(running.parts.values())
        return self._store.get(job_id)

    def cancel(self, job_id: str, by: str) -> Job | None:
        """Give out no more parts of a job; None when it is not running. Raises StateError."""
        with self._lock:
            if (running := self._running.get(job_id)) is None:
                return None
            if not running.job.cancelled_by:
                job = msgspec.structs.replace(running.job, cancelled_by=by)
                self._store.put(job, [])
                running.job = job
            self._news.set()
            return running.job

    def _hear(self, commands: Sequence[Issued]) -> None:
        for each in commands:
            if each.job:
                self._changed.put(each)
                self._news.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._news.wait(_LOOK_SECONDS)
            self._news.clear()
            try:
                with self._lock:
                    self._turn()
                self.error = ""
            except StateError as error:
                if not self.error:
                    logger.error("jobs do not go on", extra={"error": str(error)})  # noqa: TRY400 - no defect
                self.error = str(error)
                self._stopping.wait(_LOOK_SECONDS)
            except Exception:  # the next turn must come, whatever this one met
                logger.exception("fault in jobs")
                self._stopping.wait(_LOOK_SECONDS)

    def _turn(self) -> None:
        self._take_ends()
        now = self._commands.clock.now()
        for running in list(self._running.values()):
            late = overdue(running.job, running.parts.values(), now, GRACE_SECONDS)
            if late:
                self._write(running, late)
            if not running.job.cancelled_by and now < running.job.deadline:
                self._give_out(running)
            self._end(running, now)

    def _take_ends(self) -> None:
        """Have parts stand as their commands do."""
        now = self._commands.clock.now()
        by_job: dict[str, dict[int, Part]] = {}
        for issued in self._ended():
            running = self._running.get(issued.job)
            number = running.of_command.get(issued.id) if running else None
            if running is None or number is None:
                continue
            current = by_job.get(issued.job, {}).get(number, running.parts[number])
            if current.stage is Stage.WAITING:
                continue
            part = current.at(issued.stage, issued.detail, issued.result)
            part = after_end(running.job, part, now) if part.over else part
            by_job.setdefault(issued.job, {})[number] = part
        for job_id, parts in by_job.items():
            self._write(self._running[job_id], list(parts.values()))

    def _ended(self) -> Iterator[Issued]:
        with suppress(queue.Empty):
            while True:
                yield self._changed.get_nowait()

    def _write(self, running: _Running, parts: Sequence[Part]) -> None:
        failpoint("jobs.before-write")
        self._store.put(running.job, parts)
        failpoint("jobs.after-write")
        for part in parts:
            running.put(part)

    def _give_out(self, running: _Running) -> None:
        job = running.job
        known = self._nodes(job)
        if over := exhausted(running.parts.values(), known):
            self._write(running, over)
        nodes = {uid: node for uid, node in known.items() if self._may_be_given(job, node)}
        workers = [Worker(node.uid, _capacity(node)) for node in nodes.values()]
        chosen = [
            (part, nodes[uid])
            for part, uid in assignments(job, list(running.parts.values()), workers, self._busy())
        ]
        if not chosen:
            return
        orders = [(_order(job, part, self._commands.clock.now()), node) for part, node in chosen]
        given: list[Part] = []

        def also(tx: sqlite3.Connection, issued: Sequence[Issued]) -> None:
            for (part, _node), each in zip(chosen, issued, strict=True):
                one = part.given(each.id, each.uid, each.node_id, each.stage)
                given.append(one.at(each.stage, each.detail, {}) if each.is_over else one)
            put_in(tx, job, given)

        self._commands.issuer.issue_all(orders, Origin(job.actor, job.traceparent, job.id), also)
        for part in given:
            running.put(after_end(job, part, self._commands.clock.now()) if part.over else part)

    def _nodes(self, job: Job) -> dict[bytes, Node]:
        """Return the nodes that a job is for, those that are not there as well."""
        selects = parse_selector(job.selector).selects if job.selector else lambda _node: False
        scope = frozenset(job.environments)
        with self._lock:
            bound = {part.uid for part in self._running[job.id].parts.values()}
        found = self._registry.read(
            lambda nodes: [
                node
                for node in nodes
                if node.environment in scope
                and (
                    node.uid in bound
                    if job.spread is Spread.EACH
                    else node.node_id in job.nodes or selects(node)
                )
            ]
        )
        return {node.uid: node for node in found}

    def _may_be_given(self, job: Job, node: Node) -> bool:
        """Tell whether a node may be given a part now: one that is for any node waits for none of them."""
        return job.spread is Spread.EACH or self._commands.dispatcher.reaches(node.uid)

    def _busy(self) -> Counter[bytes]:
        out = (part for each in self._running.values() for part in each.parts.values() if part.is_out)
        return Counter(part.attempts[-1].uid for part in out)

    def _end(self, running: _Running, now: float) -> None:
        state = state_of(running.job, list(running.parts.values()))
        if state is State.RUNNING:
            return
        job = msgspec.structs.replace(running.job, state=state, ended=now)
        self._store.put(job, [])
        del self._running[job.id]


def _capacity(node: Node) -> int:
    told = node.description.capacity if node.description else None
    return max(1, told or 1)


def _order(job: Job, part: Part, now: float) -> Order:
    """Return the command of a part; it has no more time than the job."""
    seconds = min(job.order.seconds, job.deadline - now)
    arguments = {**job.order.arguments, **part.arguments}
    return msgspec.structs.replace(job.order, arguments=arguments, seconds=seconds)
