from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compose_agent.audit.chain import Anchor, Row, checked, entry_of, linked
from remediation.journal import Journal, verify_audit

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
# Surrogates cannot be written as UTF-8; the receiver's decoder lets none through.
SAID = st.tuples(
    st.floats(0, 2e9), st.text(), st.dictionaries(st.text(), st.text()), st.dictionaries(st.text(), JSON)
)


def chain(said: list[Any]) -> list[Row]:
    rows: list[Row] = []
    for at, kind, subjects, fields in said:
        before = Anchor(rows[-1].seq, rows[-1].hash) if rows else Anchor()
        rows.append(linked(before, at, kind, subjects, fields))
    return rows


@settings(max_examples=100, deadline=None)
@given(st.lists(SAID, max_size=6))
def test_what_is_written_holds_and_reads_back(said: list[Any]) -> None:
    rows = chain(said)
    verdict = checked(Anchor(), rows)
    assert (verdict.entries, verdict.broken, verdict.why) == (len(said), 0, "")
    for row, (at, kind, subjects, fields) in zip(rows, said, strict=True):
        entry = entry_of(row)
        assert (entry.at, entry.kind, entry.subjects, entry.fields) == (at, kind, subjects, fields)


CHANGES: dict[str, Callable[[Row], Row]] = {
    "body": lambda row: replace(row, body=row.body.replace('"fields"', '"Fields"')),
    "another value": lambda row: replace(row, body=row.body.replace("acted", "decided")),
    "no UTF-8": lambda row: replace(row, body=row.body + "\udcff"),
    "hash": lambda row: replace(row, hash=bytes([row.hash[0] ^ 1]) + row.hash[1:]),
    "time": lambda row: replace(row, at=row.at + 1),
    "kind": lambda row: replace(row, kind="received"),
    "number": lambda row: replace(row, seq=row.seq + 100),
}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 8), st.data(), st.sampled_from(sorted(CHANGES)))
def test_a_changed_entry_is_named(length: int, data: st.DataObject, change: str) -> None:
    rows = chain([(float(number), "acted", {}, {"number": number}) for number in range(length)])
    place = data.draw(st.integers(0, length - 1))
    rows[place] = CHANGES[change](rows[place])
    verdict = checked(Anchor(), rows)
    assert verdict.broken == place + 1
    assert verdict.entries == place


def test_an_entry_that_was_taken_out_is_named() -> None:
    rows = chain([(0.0, "acted", {}, {}) for _ in range(4)])
    verdict = checked(Anchor(), [*rows[:1], *rows[2:]])
    assert (verdict.broken, verdict.why) == (2, "entry 2 is missing")


def test_a_beginning_that_is_gone_must_have_been_announced() -> None:
    rows = chain([(0.0, "acted", {}, {}) for _ in range(3)])
    verdict = checked(Anchor(2, rows[1].hash), rows[2:])
    assert verdict.broken == 3
    assert "no entry says that they were cut" in verdict.why


# -- in the database


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return a state directory whose audit has five entries."""
    journal = Journal(tmp_path)
    for number in range(5):
        journal.write(lambda tx, number=number: tx.audit("acted", {"intent": f"i{number}"}, {"n": number}))  # type: ignore[misc]
    journal.close()
    assert verify_audit(tmp_path).entries == 5
    return tmp_path


def execute(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "remediation.db")) as database, database:
        for statement in statements:
            database.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = '{}' WHERE seq = 3",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 5",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit SELECT 3, at, kind, '{}', hash FROM audit WHERE seq = 3",
        "INSERT INTO audit SELECT 7, at, kind, body, hash FROM audit WHERE seq = 3",
        "INSERT INTO audit SELECT NULL, at, kind, body, hash FROM audit WHERE seq = 3",
        "INSERT INTO audit_anchors SELECT 2, hash, 0 FROM audit WHERE seq = 3",
        "INSERT INTO audit_anchors VALUES (99, x'00', 0)",
    ],
)
def test_the_database_lets_nobody_change_the_audit(filled: Path, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="audit"):
        execute(filled, statement)
    assert verify_audit(filled).broken == 0


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit SET body = '{}' WHERE seq = 3", 3),
        ("UPDATE audit SET body = CAST(x'ff00fe' AS TEXT) WHERE seq = 3", 3),
        ("UPDATE audit SET body = x'ff00fe' WHERE seq = 3", 3),
        ("UPDATE audit SET body = 7, kind = x'ff', hash = 'text' WHERE seq = 3", 3),
        ("UPDATE audit SET at = 'yesterday' WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 2", 2),
        ("DELETE FROM audit WHERE seq < 3", 1),
        ("UPDATE audit SET seq = 9 WHERE seq = 5", 5),
    ],
)
def test_what_was_changed_without_the_triggers_is_named(filled: Path, statement: str, broken: int) -> None:
    triggers = ("audit_never_changed", "audit_only_cut")
    execute(filled, *(f"DROP TRIGGER {name}" for name in triggers), statement)
    verdict = verify_audit(filled)
    assert (verdict.broken, verdict.entries) == (broken, broken - 1), verdict


def test_a_cut_that_no_entry_announces_is_found(filled: Path) -> None:
    anchor = "INSERT INTO audit_anchors SELECT seq, hash, 0 FROM audit WHERE seq = 3"
    execute(filled, anchor, "DELETE FROM audit WHERE seq <= 3")
    verdict = verify_audit(filled)
    assert verdict.broken == 4
    assert "no entry says that they were cut" in verdict.why
