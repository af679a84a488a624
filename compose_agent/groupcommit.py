"""The one thread that writes: everything that waits goes to disk in one transaction, with one fsync."""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

from compose_agent.errors import StateError
from compose_agent.failpoints import failpoint
from compose_agent.statedb import StateFile

T = TypeVar("T")
Tx = TypeVar("Tx")

# More in one transaction makes each wait longer without saving much: one fsync is shared by many already.
_MOST_TOGETHER = 256


class _Job(Generic[Tx, T]):
    """Something to be done in a transaction, and who waits for it."""

    def __init__(self, work: Callable[[Tx], T]) -> None:
        self.future: Future[T] = Future()
        self._work = work
        self._settle: Callable[[], None] = lambda: None

    def run(self, tx: Tx) -> None:
        """Do it and keep the result, which nobody gets before it is on disk."""
        result = self._work(tx)
        self._settle = lambda: self.future.set_result(result)

    def fail(self, error: Exception) -> None:
        """Keep an error instead of a result."""
        self._settle = lambda: self.future.set_exception(error)

    def settle(self) -> None:
        """Give the result or the error to who waits."""
        self._settle()


class Writer(Generic[Tx]):
    """Runs works in the order in which they come, each as if it were alone.

    ``begin`` makes what a work is given for its transaction on the connection, ``committed`` hears of each
    that is on disk. ``error`` says why the last group could not be written, empty when it could; ``commits``
    counts those that could. ``name`` is that of the thread and of its fail points.
    """

    def __init__(
        self,
        file: StateFile,
        database: sqlite3.Connection,
        begin: Callable[[], Tx],
        committed: Callable[[Tx], None],
        name: str,
    ) -> None:
        self.error = ""
        self.commits = 0
        self._file = file
        self._database = database
        self._begin = begin
        self._committed = committed
        self._queue: queue.SimpleQueue[_Job[Tx, Any] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._name = name
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[Tx], T]) -> T:
        """Do ``work`` in a transaction and return its result when that is on disk.

        What it raises is raised here, and undoes only what it did itself. Raises StateError when nothing can
        be written; then nothing of it is on disk.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("a transaction cannot wait for another one")
        job = _Job(work)
        with self._lock:
            if self._closed:
                raise StateError(f"the state in {self._file.path} is closed")
            self._queue.put(job)
        return job.future.result()

    def close(self) -> None:
        """Write what waits and end."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group = [first]
            with suppress(queue.Empty):
                while len(group) < _MOST_TOGETHER and (job := self._queue.get_nowait()) is not None:
                    group.append(job)
                if len(group) < _MOST_TOGETHER:
                    self._queue.put(None)  # taken out a moment ago; the next turn ends with it
            self._write(group)

    def _write(self, group: list[_Job[Tx, Any]]) -> None:
        try:
            with self._file.explained():
                self._database.execute("BEGIN IMMEDIATE")
                done = [tx for job in group if (tx := self._attempt(job)) is not None]
                failpoint(f"{self._name}.before-commit")
                self._database.execute("COMMIT")
                failpoint(f"{self._name}.after-commit")
        except StateError as error:
            self._undo()
            self.error = error.message
            for job in group:
                job.fail(error)
        else:
            self.error = ""
            self.commits += 1
            for tx in done:
                self._committed(tx)
        for job in group:
            job.settle()

    def _attempt(self, job: _Job[Tx, Any]) -> Tx | None:
        """Run one work between two marks; return its transaction, None if it failed."""
        tx = self._begin()
        self._database.execute("SAVEPOINT work")
        try:
            with self._file.explained():
                job.run(tx)
        except Exception as error:
            if not self._database.in_transaction:
                # SQLite has given up the whole group: its disk is full, or worse.
                raise StateError(f"the state in {self._file.path} fails ({error})") from error
            job.fail(error)
            self._database.execute("ROLLBACK TO work")
            self._database.execute("RELEASE work")
            return None
        self._database.execute("RELEASE work")
        return tx

    def _undo(self) -> None:
        if self._database.in_transaction:
            with suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
