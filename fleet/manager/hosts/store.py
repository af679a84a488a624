"""What hosts have told, on disk: an alert finds its host also while that is away and the manager is new."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

from fleet.database import Database, Tables

_SCHEMA = """
CREATE TABLE hosts_told (
    uid BLOB NOT NULL, kind TEXT NOT NULL, data BLOB NOT NULL, PRIMARY KEY (uid, kind)
) WITHOUT ROWID;
"""

Key = tuple[bytes, str]


class HostStore:
    """The last telling of each kind of each host. Every call raises StateError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.add(Tables("hosts", [_SCHEMA]))

    def load(self) -> dict[Key, bytes]:
        """Return everything."""
        question = "SELECT uid, kind, data FROM hosts_told"
        return self._database.read(lambda tx: {(row[0], row[1]): row[2] for row in tx.execute(question)})

    def write(self, told: Mapping[Key, bytes], removed: Iterable[bytes]) -> None:
        """Keep what was told, and drop hosts."""

        def work(tx: sqlite3.Connection) -> None:
            rows = [(*key, data) for key, data in told.items()]
            tx.executemany("INSERT OR REPLACE INTO hosts_told VALUES (?, ?, ?)", rows)
            tx.executemany("DELETE FROM hosts_told WHERE uid = ?", ((uid,) for uid in removed))

        self._database.write(work)
