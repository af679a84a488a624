"""The journal of one remediation role."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from compose_agent.audit.chain import Verdict
from compose_agent.audit.table import verified
from compose_agent.errors import StateError
from compose_agent.groupcommit import Writer
from remediation.journal.schema import state_file
from remediation.journal.tallies import Tallies
from remediation.journal.tx import Tx
from remediation.journal.upkeep import Retention, tidy
from remediation.journal.view import View
from remediation.model import Signal

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

_TIDY_SECONDS = 60.0
_FOREVER = Retention()


class Journal:
    """Opens ``remediation.db`` in a state directory, makes it if need be, and locks it. Thread-safe.

    Raises InstanceRunning while another process holds it (after ``patience`` seconds), and StateError when it
    cannot be used. ``now`` is the clock in Unix seconds. ``tallies`` count for the metrics.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        keep: Retention = _FOREVER,
        patience: float = 0.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._file = state_file(state_dir)
        self._keep = keep
        self._now = now
        self._lock = self._file.lock(patience)
        try:
            self._database = self._file.open()
            self._database.isolation_level = None
            self._reading = self._file.open_read_only()
            self._reading.isolation_level = None
        except BaseException:
            os.close(self._lock)
            raise
        self._guard = threading.Lock()
        self.tallies = Tallies()
        self._writer = Writer(self._file, self._database, self._begin, self._committed, "journal")
        self._stop = threading.Event()
        self._keeper = threading.Thread(target=self._tidy, name="journal upkeep", daemon=True)
        self._keeper.start()

    @property
    def error(self) -> str:
        """Why the last transaction could not be written; empty when it could."""
        return self._writer.error

    @property
    def commits(self) -> int:
        """How many transactions were written since the start of this process, each with one fsync."""
        return self._writer.commits

    def write(self, work: Callable[[Tx], T]) -> T:
        """Do ``work`` in a transaction and return its result when all of it is on disk.

        What it raises is raised here, with nothing of it written. Raises StateError when nothing can be
        written. Works of several threads go to disk together, in their order.
        """
        return self._writer.run(work)

    def receive(self, signals: Sequence[Signal]) -> None:
        """Have signals in the inbox, on disk, when this returns; raises StateError."""
        self._writer.run(lambda tx: tx.receive(signals))

    def read(self, work: Callable[[View], T]) -> T:
        """Return what ``work`` finds in everything that is on disk; raises StateError."""
        with self._guard, self._file.explained():
            self._reading.execute("BEGIN")
            try:
                return work(View(self._reading))
            finally:
                self._reading.execute("ROLLBACK")

    def decisions(self) -> dict[tuple[str, str], int]:
        """Return how often each (reason, policy) was counted since the start of this process."""
        with self.tallies.lock:
            return dict(self.tallies.decisions)

    def close(self) -> None:
        """Write what waits, close the file, and let go of the lock; a second time does nothing."""
        self._stop.set()
        self._keeper.join()
        self._writer.close()
        with self._guard:
            self._reading.close()
            self._database.close()
            if self._lock >= 0:
                os.close(self._lock)
            self._lock = -1

    def _begin(self) -> Tx:
        return Tx(self._database, self._now())

    def _committed(self, tx: Tx) -> None:
        self.tallies.add(tx.decisions, tx.actions)

    def _tidy(self) -> None:
        while not self._stop.wait(_TIDY_SECONDS):
            try:
                while self.write(lambda tx: tidy(tx, self._database, self._keep, self._now())):
                    if self._stop.is_set():
                        return
            except StateError:
                continue  # ``error`` has it; it is tried again


@contextmanager
def look(state_dir: Path) -> Iterator[View]:
    """Look into the journal of a role that runs or does not, changing nothing; raises StateError."""
    file = state_file(state_dir)
    database = file.open_read_only()
    try:
        with file.explained():
            yield View(database)
    finally:
        database.close()


def verify_audit(state_dir: Path) -> Verdict:
    """Check the audit's chain from its beginning to its end; raises StateError when it cannot be read."""
    file = state_file(state_dir)
    database = file.open_read_only()
    try:
        with file.explained():
            return verified(database)
    finally:
        database.close()
