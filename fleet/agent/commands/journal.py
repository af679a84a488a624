"""The agent's journal of commands: what was accepted, begun, how it ended, and whether the manager knows."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from compose_agent.boottime import Moment
from compose_agent.typed import from_msgpack
from fleet.database import Database, Tables
from fleet.envelopes.command import Command, Report, Stage

_TABLES = Tables(
    "commands",
    [
        """
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    stage TEXT NOT NULL,
    command BLOB NOT NULL,
    begin_by BLOB NOT NULL,
    received REAL NOT NULL,
    report BLOB NOT NULL,
    confirmed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX commands_open ON commands (confirmed) WHERE confirmed = 0;
CREATE INDEX commands_by_age ON commands (received) WHERE confirmed = 1;
"""
    ],
)
# A command that the manager knows the end of is not sent again; this is for people who ask, and for a manager
# whose state was put back to yesterday's.
KEPT_SECONDS = 7 * 86_400.0
_PRUNE_EVERY = 500


class Kept(msgspec.Struct, frozen=True):
    """A command as the journal has it; nothing of it is begun after ``begin_by``, of this host's clock."""

    command: Command
    begin_by: Moment
    report: Report

    @property
    def stage(self) -> Stage:
        """How far it is."""
        return self.report.stage


class Journal:
    """Every call raises StateError; what it writes is on disk when it returns."""

    def __init__(self, database: Database, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._written = 0
        database.add(_TABLES)

    def take(self, fresh: Sequence[Kept]) -> list[Kept]:
        """Keep commands that are new, and return what is kept of each: of a known one what was before."""

        def work(tx: sqlite3.Connection) -> list[Kept]:
            for each in fresh:
                tx.execute(
                    "INSERT OR IGNORE INTO commands VALUES (?, ?, ?, ?, ?, ?, 0)",
                    (each.command.id, each.stage, *_packed(each, self._now()), _encode(each.report)),
                )
            self._prune(tx, len(fresh))
            return [kept for each in fresh if (kept := _find(tx, each.command.id)) is not None]

        return self._database.write(work)

    def find(self, command_id: str) -> Kept | None:
        """Return what is kept of a command."""
        return self._database.read(lambda tx: _find(tx, command_id))

    def report(self, report: Report) -> None:
        """Keep how far a command is."""
        self._database.write(
            lambda tx: tx.execute(
                "UPDATE commands SET stage = ?, report = ? WHERE id = ?",
                (report.stage, _encode(report), report.id),
            )
        )

    def confirm(self, ids: Iterable[str]) -> None:
        """Note that the manager knows the end of commands."""
        rows = [(each,) for each in ids]
        self._database.write(
            lambda tx: tx.executemany("UPDATE commands SET confirmed = 1 WHERE id = ?", rows)
        )

    def open(self) -> list[Kept]:
        """Return the commands that have not ended, or whose end the manager does not know; oldest first."""
        question = "SELECT command, begin_by, report FROM commands WHERE confirmed = 0 ORDER BY received, id"
        return self._database.read(lambda tx: [_kept(row) for row in tx.execute(question)])

    def _prune(self, tx: sqlite3.Connection, added: int) -> None:
        self._written += added
        if self._written < _PRUNE_EVERY:
            return
        self._written = 0
        oldest = self._now() - KEPT_SECONDS
        tx.execute("DELETE FROM commands WHERE confirmed = 1 AND received < ?", (oldest,))


def _find(tx: sqlite3.Connection, command_id: str) -> Kept | None:
    question = "SELECT command, begin_by, report FROM commands WHERE id = ?"
    row = tx.execute(question, (command_id,)).fetchone()
    return _kept(row) if row else None


def _packed(kept: Kept, now: float) -> tuple[bytes, bytes, float]:
    return _encode(kept.command), _encode(kept.begin_by), now


def _kept(row: Sequence[Any]) -> Kept:
    command, begin_by, report = row
    return Kept(
        from_msgpack(command, Command),
        from_msgpack(begin_by, Moment),
        from_msgpack(report, Report),
    )


def _encode(value: msgspec.Struct) -> bytes:
    return msgspec.msgpack.encode(value)
