"""Forgetting what is old, a little in each transaction, so that nobody waits for it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from compose_agent.audit.table import Bounds, cut
from remediation.journal.tx import Tx

_DAY = 86400.0
# Deleting so many takes tens of milliseconds, for which an acknowledgement may have to wait.
_MOST_ROWS = 500


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the journal remembers.

    ``audit_entries`` bounds the file: an entry takes about 1 KiB with its index. An occurrence is remembered
    for longer than Alertmanager repeats what has resolved, a budget for longer than any refills.
    """

    history_seconds: float = 90 * _DAY
    audit_entries: int = 200_000
    occurrence_seconds: float = 7 * _DAY
    budget_seconds: float = 31 * _DAY


def tidy(tx: Tx, database: sqlite3.Connection, keep: Retention, now: float) -> bool:
    """Remove some of what is old, and return whether there may be more."""
    bounds = Bounds(now - keep.history_seconds, keep.audit_entries)
    removed = [
        _forget(database, "occurrences", "last_at", now - keep.occurrence_seconds),
        _forget(database, "buckets", "at", now - keep.budget_seconds),
        _forget(database, "breakers", "at", now - keep.budget_seconds),
        _forget_episodes(database, now - keep.history_seconds),
        cut(database, now, bounds, lambda kind, fields: tx.audit(kind, {}, fields)),
    ]
    return any(removed)


def _forget(database: sqlite3.Connection, table: str, column: str, before: float) -> bool:
    key = "fingerprint, starts_at" if table == "occurrences" else "key"
    statement = (
        f"DELETE FROM {table} WHERE ({key}) IN"  # noqa: S608 - constants
        f" (SELECT {key} FROM {table} WHERE {column} < ? LIMIT {_MOST_ROWS})"
    )
    return database.execute(statement, (before,)).rowcount == _MOST_ROWS


def _forget_episodes(database: sqlite3.Connection, before: float) -> bool:
    query = "SELECT id FROM episodes WHERE closed_at > 0 AND closed_at < ? LIMIT ?"
    old = database.execute(query, (before, _MOST_ROWS)).fetchall()
    database.executemany("DELETE FROM intents WHERE episode = ?", old)
    database.executemany("DELETE FROM episodes WHERE id = ?", old)
    return len(old) == _MOST_ROWS
