"""What the actor must not forget: which requests it has begun, and how they ended."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from compose_agent.dockerd.verbs.contract import Facts
from compose_agent.dockerd.verbs.model import Outcome, VerbRequest
from compose_agent.statedb import StateFile
from compose_agent.typed import from_msgpack

if TYPE_CHECKING:
    from collections.abc import Iterator

# As long as somebody may still ask about an id, and as much as one wants to read through.
KEEP_SECONDS = 30 * 86_400.0
KEEP_ROWS = 100_000
# Old rows are looked for once in so many ends.
_PRUNE_EVERY = 256

_SCHEMA = """
CREATE TABLE requests (
    id TEXT PRIMARY KEY, subject TEXT NOT NULL, request BLOB NOT NULL, facts BLOB NOT NULL,
    started_at REAL, outcome BLOB, ended_at REAL
) WITHOUT ROWID;
CREATE INDEX requests_started ON requests (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX requests_ended ON requests (ended_at) WHERE ended_at IS NOT NULL;
"""
_LOSS = "which actions were begun is then not known, so look at the containers before you act on them"


@dataclass(frozen=True, slots=True)
class Entry:
    """A request that was begun, or refused; without an outcome it has not ended. Times are Unix seconds.

    ``facts`` are what its verb saw before the call. One that was refused has no ``started_at``.
    """

    request: VerbRequest
    facts: Facts
    started_at: float | None
    outcome: Outcome | None
    ended_at: float | None


class Journal:
    """The database of one actor, ``broker.db`` in the state directory; thread-safe, StateError on failure.

    What a method has written is on disk when it returns. A second actor on the same directory gets
    InstanceRunning. ``clock`` gives Unix seconds.
    """

    def __init__(
        self, state_dir: Path, *, patience: float = 0.0, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._ends = 0
        self._file = StateFile(state_dir, "broker", "broker or remediation role", _LOSS, [_SCHEMA])
        self._lock = self._file.lock(patience)
        try:
            self._database = self._file.open()
        except BaseException:
            os.close(self._lock)
            raise

    def find(self, request_id: str) -> Entry | None:
        """Return what is known of an id."""
        query = "SELECT request, facts, started_at, outcome, ended_at FROM requests WHERE id = ?"
        rows = self._rows(query, (request_id,))
        return self._entry(rows[0]) if rows else None

    def started(self) -> list[Entry]:
        """Return what was begun and has not ended, oldest first."""
        query = (
            "SELECT request, facts, started_at, outcome, ended_at FROM requests "
            "WHERE ended_at IS NULL ORDER BY started_at"
        )
        return [self._entry(row) for row in self._rows(query, ())]

    def start(self, request: VerbRequest, subject: str, facts: Facts) -> None:
        """Write down that a request is about to be carried out on ``subject``, before it is."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO requests (id, subject, request, facts, started_at) VALUES (?, ?, ?, ?, ?)",
                (request.id, subject, _packed(request), _packed(facts), self._clock()),
            )

    def refuse(self, request: VerbRequest, subject: str, outcome: Outcome) -> None:
        """Write down that a request is never carried out."""
        with self._writing() as database:
            database.execute(
                "INSERT INTO requests (id, subject, request, facts, outcome, ended_at) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                (request.id, subject, _packed(request), _packed({}), _packed(outcome), self._clock()),
            )
        self._prune_now_and_then()

    def end(self, request_id: str, outcome: Outcome) -> None:
        """Write down how a request ended."""
        with self._writing() as database:
            database.execute(
                "UPDATE requests SET outcome = ?, ended_at = ? WHERE id = ?",
                (_packed(outcome), self._clock(), request_id),
            )
        self._prune_now_and_then()

    def started_since(self, moment: float, subject: str | None = None) -> int:
        """Return how many requests were begun after ``moment``, on one subject or on all."""
        query = "SELECT count(*) FROM requests WHERE started_at > ?"
        if subject is None:
            return int(self._rows(query, (moment,))[0][0])
        return int(self._rows(f"{query} AND subject = ?", (moment, subject))[0][0])

    def prune(self, keep_seconds: float = KEEP_SECONDS, keep_rows: int = KEEP_ROWS) -> None:
        """Forget requests that ended long ago, and the oldest of too many; never one that has not ended."""
        with self._writing() as database:
            database.execute("DELETE FROM requests WHERE ended_at < ?", (self._clock() - keep_seconds,))
            database.execute(
                "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE ended_at IS NOT NULL "
                "ORDER BY ended_at DESC LIMIT -1 OFFSET ?)",
                (keep_rows,),
            )

    def close(self) -> None:
        """Close the file and let go of the lock."""
        with self._guard:
            self._database.close()
            os.close(self._lock)

    def _prune_now_and_then(self) -> None:
        with self._guard:
            self._ends += 1
            due = self._ends % _PRUNE_EVERY == 0
        if due:
            self.prune()

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        request, facts, started_at, outcome, ended_at = row
        with self._file.explained():
            return Entry(
                from_msgpack(request, VerbRequest),
                from_msgpack(facts, dict[str, Any]),
                started_at,
                None if outcome is None else from_msgpack(outcome, Outcome),
                ended_at,
            )

    def _rows(self, query: str, values: tuple[str | float, ...]) -> list[tuple[Any, ...]]:
        with self._guard, self._file.explained():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the database for one transaction."""
        with self._guard, self._file.explained(), self._database:
            yield self._database


def _packed(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)
