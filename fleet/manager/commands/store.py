"""Commands on disk, among the tables of ``manager.db``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from compose_agent.typed import from_msgpack
from fleet.database import Database, Tables
from fleet.envelopes.command import ENDS
from fleet.manager.commands.model import Issued

_OPEN = "stage NOT IN ({})".format(", ".join(f"'{stage}'" for stage in sorted(ENDS)))
# Ids begin with the time at which they were made: their order is that of time.
_TABLES = Tables(
    "commands",
    [
        f"""
CREATE TABLE commands (
    id TEXT PRIMARY KEY,
    uid BLOB NOT NULL,
    node_id TEXT NOT NULL,
    environment TEXT NOT NULL,
    job TEXT NOT NULL,
    verb TEXT NOT NULL,
    stage TEXT NOT NULL,
    issued REAL NOT NULL,
    record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX commands_open ON commands (id) WHERE {_OPEN};
CREATE INDEX commands_of_node ON commands (node_id, id);
CREATE INDEX commands_of_job ON commands (job, id) WHERE job <> '';
"""
    ],
)
# Those that have ended; a record with a log's tail can have a megabyte.
KEPT_SECONDS = 30 * 86_400.0
_PRUNE_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which commands are meant; empty texts stand for any. ``environments``: only in these, None for all."""

    node_id: str = ""
    job: str = ""
    verb: str = ""
    stage: str = ""
    before: str = ""  # ids before this one
    environments: frozenset[str] | None = None
    limit: int = 100


class CommandStore:
    """Every call raises StateError; what it writes is on disk when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written = 0
        database.add(_TABLES)

    def put(self, commands: Iterable[Issued]) -> None:
        """Write commands, new or changed, all or none."""
        rows = [_row(each) for each in commands]
        self._database.write(lambda tx: self.put_in(tx, rows))

    def put_in(self, tx: sqlite3.Connection, rows: list[tuple[object, ...]]) -> None:
        """Write rows in a transaction that is under way."""
        tx.executemany("INSERT OR REPLACE INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._written += len(rows)
        if self._written >= _PRUNE_EVERY:
            self._written = 0
            newest = tx.execute("SELECT MAX(issued) FROM commands").fetchone()[0]
            oldest = newest - KEPT_SECONDS
            tx.execute(f"DELETE FROM commands WHERE issued < ? AND NOT {_OPEN}", (oldest,))  # noqa: S608 - our own

    def get(self, command_id: str) -> Issued | None:
        """Return a command."""
        question = "SELECT record FROM commands WHERE id = ?"
        row = self._database.read(lambda tx: tx.execute(question, (command_id,)).fetchone())
        return _decode(row[0]) if row else None

    def open(self) -> list[Issued]:
        """Return the commands that have not ended, oldest first."""
        question = f"SELECT record FROM commands WHERE {_OPEN} ORDER BY id"  # noqa: S608 - our own words
        return self._database.read(lambda tx: [_decode(data) for (data,) in tx.execute(question)])

    def find(self, wanted: Wanted) -> list[Issued]:
        """Return commands, the newest first."""
        said = {
            "node_id = ?": wanted.node_id,
            "job = ?": wanted.job,
            "verb = ?": wanted.verb,
            "stage = ?": wanted.stage,
            "id < ?": wanted.before,
        }
        given: dict[str, str] = {condition: value for condition, value in said.items() if value}
        values: list[object] = list(given.values())
        conditions = list(given)
        if wanted.environments is not None:
            conditions.append("environment IN (SELECT value FROM json_each(?))")
            values.append(msgspec.json.encode(sorted(wanted.environments)).decode())
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        question = f"SELECT record FROM commands {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 - our own words
        values.append(wanted.limit)
        return self._database.read(lambda tx: [_decode(data) for (data,) in tx.execute(question, values)])


def rows_of(commands: Iterable[Issued]) -> list[tuple[object, ...]]:
    """Return what ``put_in`` writes."""
    return [_row(each) for each in commands]


def _row(issued: Issued) -> tuple[object, ...]:
    return (
        issued.id,
        issued.uid,
        issued.node_id,
        issued.environment,
        issued.job,
        issued.command.verb,
        issued.stage,
        issued.command.issued,
        msgspec.msgpack.encode(issued),
    )


def _decode(data: bytes) -> Issued:
    return from_msgpack(data, Issued)
