"""Forgetting what is old, a little in each transaction, so that nobody waits for it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from remediation.journal.chain import CUT, Anchor, cut_fields
from remediation.journal.tx import Tx

_DAY = 86400.0
# Deleting so many rows takes tens of milliseconds, for which an acknowledgement may have to wait.
PART_ENTRIES = 1000
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
    removed = [
        _forget(database, "occurrences", "last_at", now - keep.occurrence_seconds),
        _forget(database, "buckets", "at", now - keep.budget_seconds),
        _forget(database, "breakers", "at", now - keep.budget_seconds),
        _forget_episodes(database, now - keep.history_seconds),
        _cut(tx, database, keep, now),
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


def _cut(tx: Tx, database: sqlite3.Connection, keep: Retention, now: float) -> bool:
    """Cut the oldest part of the audit if all of it is too old, or if there are too many entries."""
    bounds = database.execute("SELECT min(seq), max(seq) FROM audit").fetchone()
    if bounds[0] is None:
        return False
    first, last = bounds
    through = first - 1 + PART_ENTRIES
    if through >= last:
        return False
    at, digest = database.execute("SELECT at, hash FROM audit WHERE seq = ?", (through,)).fetchone()
    if at >= now - keep.history_seconds and last - through < keep.audit_entries:
        return False
    anchor = Anchor(through, digest)
    tx.audit(CUT, {}, cut_fields(anchor))
    database.execute("INSERT INTO audit_anchors VALUES (?, ?, ?)", (anchor.seq, anchor.hash, now))
    database.execute(
        "DELETE FROM audit_subjects WHERE (subject, seq) IN (SELECT value, audit.seq FROM audit,"
        " json_each(audit.body, '$.subjects') WHERE audit.seq <= ?)",
        (through,),
    )
    database.execute("DELETE FROM audit WHERE seq <= ?", (through,))
    return True
