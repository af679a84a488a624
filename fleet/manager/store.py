"""The nodes on disk: ``manager.db`` in the state directory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from compose_agent.statedb import StateFile
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


class Store:
    """Nodes and their history. Every call raises StateError; one process at a time has it."""

    def __init__(self, state_dir: Path) -> None:
        self._file = StateFile(state_dir, "manager", "manager", _LOSS, [_SCHEMA])
        self._lock = threading.Lock()
        self._written = 0
        self._held = self._file.lock()
        try:
            self._database = self._file.open()
        except BaseException:
            os.close(self._held)
            raise

    def load(self) -> list[Node]:
        """Return every node as it was last written."""
        columns = "uid, record, state, reason, since, first_heard, last_heard, disabled"
        with self._lock, self._file.explained():
            rows = self._database.execute(f"SELECT {columns} FROM node").fetchall()  # noqa: S608 - our own names
            return [_node(row) for row in rows]

    def write(self, nodes: Iterable[Node], removed: Iterable[bytes], history: Sequence[Transition]) -> None:
        """Write nodes, remove others, and add to the history, all of it or nothing."""
        with self._lock, self._file.explained(), self._database:
            self._database.executemany(
                "INSERT OR REPLACE INTO node VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", map(_row, nodes)
            )
            self._database.executemany("DELETE FROM node WHERE uid = ?", ((uid,) for uid in removed))
            self._database.executemany(
                "INSERT INTO transition (uid, node_id, at, before, after, reason) VALUES (?, ?, ?, ?, ?, ?)",
                ((one.uid, one.node_id, one.at, one.before, one.after, one.reason) for one in history),
            )
            self._prune(len(history))

    def history(self, uid: bytes, most: int) -> list[Transition]:
        """Return the last changes of a node's state, the newest first."""
        with self._lock, self._file.explained():
            rows = self._database.execute(
                "SELECT uid, node_id, at, before, after, reason FROM transition WHERE uid = ? "
                "ORDER BY id DESC LIMIT ?",
                (uid, most),
            ).fetchall()
        return [Transition(r[0], r[1], r[2], State(r[3]), State(r[4]), r[5]) for r in rows]

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()
        os.close(self._held)

    def _prune(self, added: int) -> None:
        self._written += added
        if self._written < _PRUNE_EVERY:
            return
        self._written = 0
        self._database.execute(
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
    record = msgspec.msgpack.decode(data, type=_Record)
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
