"""Alerts on disk: what came, for whom it is, and what became of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from compose_agent.typed import from_json
from fleet.database import Database, Tables
from fleet.envelopes.alert import Alert

# A month of a few alerts a minute; older ones are dropped.
KEPT = 100_000
_PRUNE_EVERY = 1000

# A host's alerts are handed on in the order of their numbers.
_SCHEMA = """
CREATE TABLE alerts_routed (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, received_at REAL NOT NULL,
    uid BLOB NOT NULL, node_id TEXT NOT NULL, environment TEXT NOT NULL, name TEXT NOT NULL,
    fingerprint TEXT NOT NULL, firing INTEGER NOT NULL, labels TEXT NOT NULL, sender TEXT NOT NULL,
    traceparent TEXT NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL,
    ended_at REAL NOT NULL
);
CREATE INDEX alerts_waiting ON alerts_routed (uid, number) WHERE state = 'waiting';
"""
_COLUMNS = (
    "id, received_at, uid, node_id, environment, name, fingerprint, firing, labels, sender, traceparent, "
    "body, state, reason, ended_at"
)
_SHOWN = "id, received_at, node_id, environment, name, firing, labels, sender, state, reason, ended_at"


class Fate(StrEnum):
    """What became of an alert."""

    WAITING = "waiting"  # for its host
    DELIVERED = "delivered"  # the host's remediation has it on disk
    REJECTED = "rejected"  # the host's remediation does not take it
    REFUSED = "refused"  # it is nobody's
    SUPERSEDED = "superseded"  # a later one about the same came while it waited
    EXPIRED = "expired"  # its host was not there for too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An alert as it came; ``uid`` and ``node_id`` are empty for one that is nobody's. In Unix time."""

    id: str
    received_at: float
    uid: bytes
    node_id: str
    environment: str
    name: str
    fingerprint: str
    firing: bool
    labels: dict[str, str]
    sender: str
    traceparent: str
    body: bytes
    fate: Fate
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertShown:
    """An alert as people and programs see it; ``ended_at`` is 0 while it waits. Times are Unix time."""

    id: str
    received_at: float
    node_id: str
    environment: str
    name: str
    firing: bool
    labels: dict[str, str]
    sender: str
    state: Fate
    reason: str
    ended_at: float


class AlertStore:
    """Every call raises StateError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = 0
        database.add(Tables("alerts", [_SCHEMA]))

    def add(self, records: Sequence[Record]) -> int:
        """Keep alerts, all or none, and return how many that wait for a host they have superseded."""

        def work(tx: sqlite3.Connection) -> int:
            superseded = sum(_supersede(tx, each) for each in records)
            marks = ", ".join("?" * 15)
            tx.executemany(f"INSERT INTO alerts_routed ({_COLUMNS}) VALUES ({marks})", map(_row, records))  # noqa: S608
            self._prune(tx, len(records))
            return superseded

        return self._database.write(work)

    def waiting(self, uid: bytes, most: int) -> list[Alert]:
        """Return what waits for a host, the first that came first."""
        question = (
            "SELECT id, body, traceparent FROM alerts_routed WHERE state = 'waiting' AND uid = ? "
            "ORDER BY number LIMIT ?"
        )
        return self._database.read(lambda tx: [Alert(*row) for row in tx.execute(question, (uid, most))])

    def hosts(self) -> list[bytes]:
        """Return the hosts for which something waits."""
        question = "SELECT DISTINCT uid FROM alerts_routed WHERE state = 'waiting'"
        return self._database.read(lambda tx: [row[0] for row in tx.execute(question)])

    def end(self, number: str, uid: bytes, fate: Fate, reason: str, at: float) -> bool:
        """Note what became of a host's alert; return whether that was not known yet."""
        change = (
            "UPDATE alerts_routed SET state = ?, reason = ?, ended_at = ?, body = x'' "
            "WHERE id = ? AND uid = ? AND state IN ('waiting', 'superseded')"
        )
        values = (fate, reason, at, number, uid)
        return self._database.write(lambda tx: tx.execute(change, values).rowcount) > 0

    def expire(self, before: float, reason: str, at: float) -> int:
        """Give up what has waited since before a time, and return how many that were."""
        change = (
            "UPDATE alerts_routed SET state = 'expired', reason = ?, ended_at = ?, body = x'' "
            "WHERE state = 'waiting' AND received_at < ?"
        )
        return self._database.write(lambda tx: tx.execute(change, (reason, at, before)).rowcount)

    def latest(self, most: int, keep: Callable[[AlertShown], bool]) -> list[AlertShown]:
        """Return the newest alerts that ``keep`` wants, the newest first."""
        question = f"SELECT {_SHOWN} FROM alerts_routed ORDER BY number DESC"  # noqa: S608 - our own names

        def work(tx: sqlite3.Connection) -> list[AlertShown]:
            return list(_first(most, filter(keep, map(_shown, tx.execute(question)))))

        return self._database.read(work)

    def _prune(self, tx: sqlite3.Connection, added: int) -> None:
        self._added += added
        if self._added >= _PRUNE_EVERY:
            self._added = 0
            last = "(SELECT max(number) FROM alerts_routed)"
            tx.execute(f"DELETE FROM alerts_routed WHERE number <= {last} - ?", (KEPT,))  # noqa: S608


def _supersede(tx: sqlite3.Connection, record: Record) -> int:
    change = (
        "UPDATE alerts_routed SET state = 'superseded', reason = 'a later one came', ended_at = ? "
        "WHERE state = 'waiting' AND uid = ? AND fingerprint = ?"
    )
    return tx.execute(change, (record.received_at, record.uid, record.fingerprint)).rowcount


def _row(record: Record) -> tuple[object, ...]:
    ended = 0.0 if record.fate is Fate.WAITING else record.received_at
    return (
        *(record.id, record.received_at, record.uid, record.node_id, record.environment, record.name),
        *(record.fingerprint, int(record.firing), msgspec.json.encode(record.labels).decode(), record.sender),
        *(record.traceparent, record.body, record.fate, record.reason, ended),
    )


def _shown(row: Sequence[Any]) -> AlertShown:
    names = [name.strip() for name in _SHOWN.split(",")]
    found = dict(zip(names, row, strict=True))
    found["firing"], found["state"] = bool(found["firing"]), Fate(found["state"])
    found["labels"] = from_json(found["labels"], dict[str, str])
    return AlertShown(**found)


def _first(most: int, rows: Iterable[AlertShown]) -> Iterable[AlertShown]:
    for at, row in enumerate(rows):
        if at >= most:
            return
        yield row
