"""One SQLite file for all parts of a role, each of which brings its own tables.

::

    database = Database(StateFile(folder, "manager", "manager", LOSS, [PARTS]))
    database.add(Tables("commands", [_SCHEMA]))
    database.write(lambda tx: tx.execute("INSERT …"))    # on disk when it returns
    rows = database.read(lambda tx: tx.execute("SELECT …").fetchall())
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from compose_agent.errors import StateError
from compose_agent.groupcommit import Writer
from compose_agent.statedb import StateFile

T = TypeVar("T")

# A step of the file's own schema: which version the tables of each part have.
PARTS = "CREATE TABLE part (name TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID;"


@dataclass(frozen=True, slots=True)
class Tables:
    """What one part keeps: SQL scripts, the first makes version 1, each further one the next version.

    The names of its tables begin with the part's.
    """

    part: str
    steps: Sequence[str]


class Database:
    """Opens and locks ``file``, whose steps must include :data:`PARTS`. Thread-safe.

    Every call raises StateError; the constructor InstanceRunning as well. Works that come from several
    threads together share one transaction and one fsync; one that raises undoes only what it did itself.
    """

    def __init__(self, file: StateFile) -> None:
        self._file = file
        self._held = file.lock()
        try:
            self._writing = file.open()
            self._writing.isolation_level = None
            self._reading = file.open_read_only()
            self._reading.isolation_level = None
        except BaseException:
            os.close(self._held)
            raise
        self._guard = threading.Lock()
        self._writer: Writer[sqlite3.Connection] = Writer(
            file, self._writing, lambda: self._writing, lambda _tx: None, file.name
        )

    @property
    def error(self) -> str:
        """Why the last transaction could not be written; empty when it could."""
        return self._writer.error

    def add(self, tables: Tables) -> None:
        """Make a part's tables, or bring them to their newest version; refuses newer ones."""
        version = self.write(lambda tx: _version(tx, tables.part))
        if version > len(tables.steps):
            raise StateError(
                f"the {tables.part} in {self._file.path} were written by a newer version "
                f"(schema {version}, this one knows {len(tables.steps)})",
                remedy="run that version, or choose another --state-dir",
            )
        if version < len(tables.steps):
            self.write(lambda tx: _upgrade(tx, tables, version))

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` in a transaction and return its result when all of it is on disk."""
        return self._writer.run(work)

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``work`` finds in everything that is on disk; nobody who writes is waited for."""
        with self._guard, self._file.explained():
            self._reading.execute("BEGIN")
            try:
                return work(self._reading)
            finally:
                self._reading.execute("ROLLBACK")

    def close(self) -> None:
        """Write what waits, and let go of the file; a second time does nothing."""
        self._writer.close()
        with self._guard:
            self._reading.close()
            self._writing.close()
            if self._held >= 0:
                os.close(self._held)
            self._held = -1


def _version(tx: sqlite3.Connection, part: str) -> int:
    row = tx.execute("SELECT version FROM part WHERE name = ?", (part,)).fetchone()
    return int(row[0]) if row else 0


def _upgrade(tx: sqlite3.Connection, tables: Tables, version: int) -> None:
    for step in tables.steps[version:]:
        # Not executescript: it would end the transaction that holds all steps together.
        for statement in _statements(step):
            tx.execute(statement)
    tx.execute("INSERT OR REPLACE INTO part VALUES (?, ?)", (tables.part, len(tables.steps)))


def _statements(script: str) -> list[str]:
    found, begun = [], ""
    for line in script.splitlines(keepends=True):
        begun += line
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    if begun.strip():
        raise ValueError(f"a step of a schema ends in the middle of a statement: {begun}")
    return found
