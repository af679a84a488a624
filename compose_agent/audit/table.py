"""The audit in SQLite: tables that can only be appended to, and cut from the front up to an anchor.

Every call is made in a transaction of the caller.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.audit.chain import CUT, Anchor, Row, Verdict, checked, cut_fields, linked

# Deleting so many rows takes tens of milliseconds, for which an acknowledgement may have to wait.
PART_ENTRIES = 1000

# Entries are appended, and cut from the front up to an anchor, which must be an entry and stays for ever.
# Inserting is guarded as well, because INSERT OR REPLACE deletes without asking the triggers for deletions.
AUDIT_TABLES = """
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL
);
CREATE TABLE audit_anchors (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, at REAL NOT NULL);
CREATE TABLE audit_subjects (
    subject TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (subject, seq)
) WITHOUT ROWID;

CREATE TRIGGER audit_only_appended BEFORE INSERT ON audit
WHEN NEW.seq IS NOT 1 + coalesce(
    (SELECT max(seq) FROM audit), (SELECT max(seq) FROM audit_anchors), 0)
BEGIN SELECT RAISE(ABORT, 'the audit is only appended to'); END;
CREATE TRIGGER audit_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit is only appended to'); END;
CREATE TRIGGER audit_only_cut BEFORE DELETE ON audit
WHEN OLD.seq > coalesce((SELECT max(seq) FROM audit_anchors), 0)
BEGIN SELECT RAISE(ABORT, 'the audit is only cut up to an anchor'); END;

CREATE TRIGGER anchors_are_entries BEFORE INSERT ON audit_anchors
WHEN NOT EXISTS (SELECT 1 FROM audit WHERE seq = NEW.seq AND hash = NEW.hash)
BEGIN SELECT RAISE(ABORT, 'an anchor is an entry of the audit'); END;
CREATE TRIGGER anchors_never_changed BEFORE UPDATE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'anchors of the audit stay'); END;
CREATE TRIGGER anchors_never_removed BEFORE DELETE ON audit_anchors
BEGIN SELECT RAISE(ABORT, 'anchors of the audit stay'); END;
"""

_COLUMNS = "seq, CAST(at AS REAL), CAST(kind AS TEXT), CAST(body AS TEXT), CAST(hash AS BLOB)"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is kept: nothing from before ``oldest``, Unix time, and about ``most`` entries."""

    oldest: float
    most: int


def append(
    database: sqlite3.Connection, at: float, kind: str, subjects: Mapping[str, str], fields: Mapping[str, Any]
) -> Row:
    """Append an entry: ids by what they are, such as ``episode``, and what is to be said."""
    row = linked(_end(database), at, kind, dict(subjects), dict(fields))
    database.execute(
        "INSERT INTO audit VALUES (?, ?, ?, ?, ?)", (row.seq, row.at, row.kind, row.body, row.hash)
    )
    database.executemany(
        "INSERT OR IGNORE INTO audit_subjects VALUES (?, ?)",
        [(subject, row.seq) for subject in subjects.values()],
    )
    return row


def cut(
    database: sqlite3.Connection, now: float, keep: Bounds, note: Callable[[str, dict[str, Any]], object]
) -> bool:
    """Cut the oldest part if all of it is too old, or if there are too many entries; tell whether it was.

    ``note`` appends an entry of a kind with its fields.
    """
    first, last = database.execute("SELECT min(seq), max(seq) FROM audit").fetchone()
    if first is None:
        return False
    through = first - 1 + PART_ENTRIES
    if through >= last:
        return False
    at, digest = database.execute("SELECT at, hash FROM audit WHERE seq = ?", (through,)).fetchone()
    if at >= keep.oldest and last - through < keep.most:
        return False
    anchor = Anchor(through, digest)
    note(CUT, cut_fields(anchor))
    database.execute("INSERT INTO audit_anchors VALUES (?, ?, ?)", (anchor.seq, anchor.hash, now))
    database.execute(
        "DELETE FROM audit_subjects WHERE (subject, seq) IN (SELECT value, audit.seq FROM audit,"
        " json_each(audit.body, '$.subjects') WHERE audit.seq <= ?)",
        (through,),
    )
    database.execute("DELETE FROM audit WHERE seq <= ?", (through,))
    return True


def verified(database: sqlite3.Connection) -> Verdict:
    """Check the chain from its beginning to its end; the connection is for nothing else afterwards."""
    # Bytes that somebody has put in there must not end the search for where.
    database.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    database.execute("BEGIN")
    anchor = database.execute("SELECT seq, hash FROM audit_anchors ORDER BY seq DESC LIMIT 1").fetchone()
    rows = database.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY seq")  # noqa: S608 - a constant
    return checked(Anchor(*anchor) if anchor else Anchor(), (Row(*row) for row in rows))


def _end(database: sqlite3.Connection) -> Anchor:
    """Return the newest entry, or the anchor when all were cut."""
    for table in ("audit", "audit_anchors"):
        row = database.execute(f"SELECT seq, hash FROM {table} ORDER BY seq DESC LIMIT 1").fetchone()  # noqa: S608 - constants
        if row:
            return Anchor(*row)
    return Anchor()
