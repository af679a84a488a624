"""Agents' credentials on disk, as hashes; and which agents have joined with which token."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.database import Database, Tables

_SCHEMA = """
CREATE TABLE credential_issued (
    id TEXT PRIMARY KEY, uid BLOB NOT NULL, digest BLOB NOT NULL UNIQUE, environments TEXT NOT NULL,
    issued_at REAL NOT NULL, expires_at REAL NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE credential_joined (
    token TEXT NOT NULL, uid BLOB NOT NULL, PRIMARY KEY (token, uid)
) WITHOUT ROWID;
"""
_COLUMNS = "id, uid, digest, environments, issued_at, expires_at, used"


@dataclass(frozen=True, slots=True)
class Credential:
    """What one agent proves itself with; times are Unix time, ``used`` says that it has come with it.

    ``digest`` is the SHA-256 of its key, or of its certificate in DER.
    """

    id: str
    uid: bytes
    digest: bytes = field(repr=False)
    environments: frozenset[str] | None
    issued_at: float
    expires_at: float
    used: bool = False


class CredentialStore:
    """Every call raises StateError; what it writes is on disk when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.add(Tables("credential", [_SCHEMA]))

    def load(self) -> list[Credential]:
        """Return every credential that was not revoked."""
        question = f"SELECT {_COLUMNS} FROM credential_issued"  # noqa: S608 - our own names
        return self._database.read(lambda tx: [_credential(row) for row in tx.execute(question)])

    def joined(self) -> set[tuple[str, bytes]]:
        """Return the ids of tokens and the uids that have joined with them."""
        question = "SELECT token, uid FROM credential_joined"
        return self._database.read(lambda tx: {(token, uid) for token, uid in tx.execute(question)})

    def write(self, changed: Sequence[Credential] = (), removed: Sequence[str] = ()) -> None:
        """Write credentials and remove others, all of it or nothing."""

        def work(tx: sqlite3.Connection) -> None:
            tx.executemany(
                "INSERT OR REPLACE INTO credential_issued VALUES (?, ?, ?, ?, ?, ?, ?)", map(_row, changed)
            )
            tx.executemany("DELETE FROM credential_issued WHERE id = ?", ((each,) for each in removed))

        self._database.write(work)

    def note_joined(self, token: str, uid: bytes) -> None:
        """Write that an agent has joined with a token."""

        def work(tx: sqlite3.Connection) -> None:
            tx.execute("INSERT OR IGNORE INTO credential_joined VALUES (?, ?)", (token, uid))

        self._database.write(work)


def _row(one: Credential) -> tuple[object, ...]:
    seen = one.environments
    environments = json.dumps(None if seen is None else sorted(seen))
    return one.id, one.uid, one.digest, environments, one.issued_at, one.expires_at, int(one.used)


def _credential(row: Sequence[Any]) -> Credential:
    credential_id, uid, digest, environments, issued_at, expires_at, used = row
    seen = json.loads(environments)
    scope = None if seen is None else frozenset(seen)
    return Credential(credential_id, uid, digest, scope, issued_at, expires_at, bool(used))
