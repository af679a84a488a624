"""The manager's database, ``manager.db`` in the state directory, and in it the nodes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from compose_agent.statedb import StateFile
from compose_agent.typed import from_msgpack
from fleet.database import PARTS, Database
from fleet.manager.model import Description, Health, Node, State, Transition

_LOSS = "agents then appear anew as they speak; what was switched off, and the history, is gone"
# Of a node's history; a flapping node would fill the disk.
KEPT_TRANSITIONS = 200_000
_PRUNE_EVERY = 1000

_SCHEMA = """
CREATE TABLE node (
    uid BLOB PRIMARY KEY,
    node_id TEXT NOT NULL,
    record BLOB NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    since REAL NOT NULL,
    first_heard REAL NOT NULL,
    last_heard REAL NOT NULL,
    disabled INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE transition (
    id INTEGER PRIMARY KEY,
    uid BLOB NOT NULL,
    node_id TEXT NOT NULL,
    at REAL NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX transition_of_node ON transition (uid, id);
"""


class _Record(msgspec.Struct, array_like=True):
    """What an agent has reported, as MessagePack."""

    description: Description | None
    capabilities: int
    health: Health | None
    config: Mapping[str, str]
    transport: str
    peer_address: str


def manager_file(state_dir: Path) -> StateFile:
    """Return where the manager keeps its state."""
    return StateFile(state_dir, "manager", "manager", _LOSS, [_SCHEMA, PARTS])


def manager_database(state_dir: Path) -> Database:
    """Open ``manager.db``; raises InstanceRunning and StateError."""
    return Database(manager_file(state_dir))


class Store:
    """Nodes and their history. Every call raises StateError."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written = 0

    def load(self) -> list[Node]:
        """Return every node as it was last written."""
        columns = "uid, record, state, reason, since, first_heard, last_heard, disabled"
        question = f"SELECT {columns} FROM node"  # noqa: S608 - our own names
        return self._database.read(lambda tx: [_node(row) for row in tx.execute(question)])

    def write(self, nodes: Iterable[Node], removed: Iterable[bytes], history: Sequence[Transition]) -> None:
        """Write nodes, remove others, and add to the history, all of it or nothing."""

        def work(tx: sqlite3.Connection) -> None:
            tx.executemany("INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, nodes))
            tx.executemany("DELETE FROM node WHERE uid = ?", ((uid,) for uid in removed))
            tx.executemany(
                "INSERT INTO transition (uid, node_id, at, before, after, reason) VALUES (?, ?, ?, ?, ?, ?)",
                ((one.uid, one.node_id, one.at, one.before, one.after, one.reason) for one in history),
            )
            self._prune(tx, len(history))

        self._database.write(work)

    def history(self, uid: bytes, most: int) -> list[Transition]:
        """Return the last changes of a node's state, the newest first."""
        question = (
            "SELECT uid, node_id, at, before, after, reason FROM transition WHERE uid = ? "
            "ORDER BY id DESC LIMIT ?"
        )
        rows = self._database.read(lambda tx: tx.execute(question, (uid, most)).fetchall())
        return [Transition(r[0], r[1], r[2], State(r[3]), State(r[4]), r[5]) for r in rows]

    def _prune(self, tx: sqlite3.Connection, added: int) -> None:
        self._written += added
        if self._written < _PRUNE_EVERY:
            return
        self._written = 0
        tx.execute(
            "DELETE FROM transition WHERE id <= (SELECT MAX(id) FROM transition) - ?", (KEPT_TRANSITIONS,)
        )


def _row(node: Node) -> tuple[object, ...]:
    record = _Record(
        node.description, node.capabilities, node.health, node.config, node.transport, node.peer_address
    )
    return (
        node.uid,
        node.node_id,
        msgspec.msgpack.encode(record),
        node.state,
        node.reason,
        node.since,
        node.first_heard,
        node.last_heard,
        int(node.disabled),
    )


def _node(row: Sequence[Any]) -> Node:
    uid, data, state, reason, since, first_heard, last_heard, disabled = row
    record = from_msgpack(data, _Record)
    return Node(
        uid=uid,
        description=record.description,
        capabilities=record.capabilities,
        health=record.health,
        config=record.config,
        state=State(state),
        reason=reason,
        since=since,
        first_heard=first_heard,
        last_heard=last_heard,
        disabled=bool(disabled),
        transport=record.transport,
        peer_address=record.peer_address,
    )
