"""The tables of layers and roll-outs, and their rows as values."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from fleet.manager.configs.model import LayerKey, Member, MemberState, Phase, Rollout, Version
from fleet.manager.configs.scope import parse_scope

SCHEMA = """
CREATE TABLE configs_version (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    body TEXT,
    kind TEXT NOT NULL,
    at REAL NOT NULL,
    actor TEXT NOT NULL,
    note TEXT NOT NULL,
    UNIQUE (scope, name, number)
);
CREATE TABLE configs_in_force (
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;
CREATE TABLE configs_rollout (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL,
    name TEXT NOT NULL,
    version INTEGER NOT NULL,
    former INTEGER,
    selector TEXT NOT NULL,
    batch_size INTEGER NOT NULL,
    gate REAL NOT NULL,
    within REAL NOT NULL,
    actor TEXT NOT NULL,
    at REAL NOT NULL,
    phase TEXT NOT NULL,
    reason TEXT NOT NULL,
    batch INTEGER NOT NULL,
    released_at REAL NOT NULL,
    ended_at REAL NOT NULL
);
CREATE TABLE configs_member (
    rollout INTEGER NOT NULL,
    uid BLOB NOT NULL,
    node_id TEXT NOT NULL,
    batch INTEGER NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    healthy_before INTEGER NOT NULL,
    PRIMARY KEY (rollout, uid)
) WITHOUT ROWID;
CREATE TABLE configs_report (
    uid BLOB PRIMARY KEY,
    offered INTEGER NOT NULL,
    reported TEXT NOT NULL,
    status TEXT NOT NULL,
    applied TEXT NOT NULL,
    failed TEXT NOT NULL,
    reason TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE configs_event (
    id INTEGER PRIMARY KEY,
    uid BLOB NOT NULL,
    node_id TEXT NOT NULL,
    at REAL NOT NULL,
    hash TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX configs_event_of_node ON configs_event (uid, id);
"""
VERSION = "id, scope, name, number, body, kind, at, actor, note"
ROLLOUT = (
    "id, scope, name, version, former, selector, batch_size, gate, within, actor, at, phase, reason, "
    "batch, released_at, ended_at"
)


def numbered(tx: sqlite3.Connection, new: Version) -> Version:
    """Write a version with the next number of its layer, and return it."""
    key = (str(new.key.scope), new.key.name)
    question = "SELECT COALESCE(MAX(number), 0) + 1 FROM configs_version WHERE scope = ? AND name = ?"
    number: int = tx.execute(question, key).fetchone()[0]
    row = (*key, number, new.body, new.kind, new.at, new.actor, new.note)
    cursor = tx.execute(
        "INSERT INTO configs_version (scope, name, number, body, kind, at, actor, note) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    )
    assert cursor.lastrowid is not None  # noqa: S101 - SQLite gives one
    return Version(cursor.lastrowid, new.key, number, new.body, new.kind, new.at, new.actor, new.note)


def insert_rollout(tx: sqlite3.Connection, rollout: Rollout) -> None:
    """Write a new roll-out, which is given its id here."""
    cursor = tx.execute(
        "INSERT INTO configs_rollout (scope, name, version, former, selector, batch_size, gate, within, "
        "actor, at, phase, reason, batch, released_at, ended_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(rollout.key.scope),
            rollout.key.name,
            rollout.version,
            rollout.former,
            rollout.selector,
            rollout.batch_size,
            rollout.gate,
            rollout.within,
            rollout.actor,
            rollout.at,
            rollout.phase,
            rollout.reason,
            rollout.batch,
            rollout.released_at,
            rollout.ended_at,
        ),
    )
    assert cursor.lastrowid is not None  # noqa: S101 - SQLite gives one
    rollout.id = cursor.lastrowid
    insert_members(tx, [member_row(rollout.id, member) for member in rollout.members.values()])


def insert_members(tx: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> None:
    """Write rows of members."""
    tx.executemany("INSERT OR REPLACE INTO configs_member VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def members_of(tx: sqlite3.Connection, rollout: int) -> dict[bytes, Member]:
    """Return the members of a roll-out."""
    question = (
        "SELECT uid, node_id, batch, state, reason, healthy_before FROM configs_member WHERE rollout = ? "
        "ORDER BY batch, node_id"
    )
    rows = tx.execute(question, (rollout,)).fetchall()
    return {row[0]: Member(row[0], row[1], row[2], MemberState(row[3]), row[4], bool(row[5])) for row in rows}


def member_row(rollout: int, member: Member) -> tuple[object, ...]:
    """Return the row of a member."""
    return (
        rollout,
        member.uid,
        member.node_id,
        member.batch,
        member.state,
        member.reason,
        int(member.healthy_before),
    )


def version_of(row: Sequence[Any]) -> Version:
    """Return the version in a row of the columns VERSION."""
    number, scope, name, *rest = row
    return Version(number, LayerKey(parse_scope(scope), name), *rest)


def rollout_of(row: Sequence[Any], members: dict[bytes, Member]) -> Rollout:
    """Return the roll-out in a row of the columns ROLLOUT."""
    number, scope, name, *rest = row
    version, former, selector, size, gate, within, actor, at, phase, reason, batch, released, ended = rest
    return Rollout(
        id=number,
        key=LayerKey(parse_scope(scope), name),
        version=version,
        former=former,
        selector=selector,
        batch_size=size,
        gate=gate,
        within=within,
        actor=actor,
        at=at,
        phase=Phase(phase),
        reason=reason,
        batch=batch,
        released_at=released,
        ended_at=ended,
        members=members,
    )
