"""Layers, roll-outs and what agents report of them, in the manager's database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass

from fleet.database import Database, Tables
from fleet.manager.configs.model import Event, LayerKey, Member, Phase, Rollout, Status, Version
from fleet.manager.configs.tables import (
    ROLLOUT,
    SCHEMA,
    VERSION,
    insert_members,
    insert_rollout,
    member_row,
    members_of,
    numbered,
    rollout_of,
    version_of,
)

# Of all agents together; each push to ten thousand of them makes twenty thousand.
KEPT_EVENTS = 500_000
_PRUNE_EVERY = 5000


@dataclass(frozen=True, slots=True)
class Report:
    """What is kept of an agent: whether it was sent anything, what it reported, applied and refused last.

    ``reason`` is that of the refusal.
    """

    uid: bytes
    offered: bool
    reported: str
    status: Status
    applied: str
    failed: str
    reason: str


class ConfigStore:
    """Every call raises StateError; what was written is on disk when a call returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._written = 0
        database.add(Tables("configs", [SCHEMA]))

    # Layers.

    def in_force(self) -> list[Version]:
        """Return the version in force of each layer, those as well whose layer was taken away."""
        question = f"SELECT {VERSION} FROM configs_version WHERE id IN (SELECT version FROM configs_in_force)"  # noqa: S608 - our own names
        return self._database.read(lambda tx: [version_of(row) for row in tx.execute(question)])

    def versions(self, key: LayerKey, most: int) -> list[Version]:
        """Return the versions of a layer, the newest first."""
        question = (
            f"SELECT {VERSION} FROM configs_version WHERE scope = ? AND name = ? ORDER BY number DESC LIMIT ?"  # noqa: S608
        )
        given = (str(key.scope), key.name, most)
        return self._database.read(lambda tx: [version_of(row) for row in tx.execute(question, given)])

    def version(self, id: int) -> Version | None:
        """Return a version."""
        question = f"SELECT {VERSION} FROM configs_version WHERE id = ?"  # noqa: S608
        rows = self._database.read(lambda tx: tx.execute(question, (id,)).fetchall())
        return version_of(rows[0]) if rows else None

    def begin(self, new: Version, rollout: Rollout) -> tuple[Version, Rollout]:
        """Write a new version, which is given its number here, and the roll-out that begins with it."""

        def work(tx: sqlite3.Connection) -> tuple[Version, Rollout]:
            version = numbered(tx, new)
            rollout.version = version.id
            insert_rollout(tx, rollout)
            return version, rollout

        return self._database.write(work)

    # Roll-outs.

    def rollouts(self, most: int) -> list[Rollout]:
        """Return the last roll-outs, the newest first, and every one that has not ended."""
        ended = ", ".join(f"'{phase}'" for phase in (Phase.DONE, Phase.REVERTED))
        question = (
            f"SELECT {ROLLOUT} FROM configs_rollout WHERE phase NOT IN ({ended}) OR id IN "  # noqa: S608
            "(SELECT id FROM configs_rollout ORDER BY id DESC LIMIT ?) ORDER BY id DESC"
        )

        def work(tx: sqlite3.Connection) -> list[Rollout]:
            return [
                rollout_of(row, members_of(tx, row[0])) for row in tx.execute(question, (most,)).fetchall()
            ]

        return self._database.read(work)

    def save(self, rollout: Rollout, members: Iterable[Member], in_force: int | None = None) -> None:
        """Write how a roll-out stands, the members of it that have changed, and the version now in force."""
        rows = [member_row(rollout.id, member) for member in members]

        def work(tx: sqlite3.Connection) -> None:
            tx.execute(
                "UPDATE configs_rollout SET selector = ?, phase = ?, reason = ?, batch = ?, released_at = ?, "
                "ended_at = ? WHERE id = ?",
                (
                    rollout.selector,
                    rollout.phase,
                    rollout.reason,
                    rollout.batch,
                    rollout.released_at,
                    rollout.ended_at,
                    rollout.id,
                ),
            )
            insert_members(tx, rows)
            if in_force is not None:
                key = (str(rollout.key.scope), rollout.key.name)
                tx.execute("INSERT OR REPLACE INTO configs_in_force VALUES (?, ?, ?)", (*key, in_force))

        self._database.write(work)

    # What agents report.

    def reports(self) -> list[Report]:
        """Return what is known of each agent."""
        question = "SELECT uid, offered, reported, status, applied, failed, reason FROM configs_report"
        rows = self._database.read(lambda tx: tx.execute(question).fetchall())
        return [Report(row[0], bool(row[1]), row[2], Status(row[3]), *row[4:]) for row in rows]

    def note(self, reports: Iterable[Report], events: Sequence[Event]) -> None:
        """Write what agents have reported."""

        def work(tx: sqlite3.Connection) -> None:
            tx.executemany(
                "INSERT OR REPLACE INTO configs_report VALUES (?, ?, ?, ?, ?, ?, ?)",
                map(astuple, reports),
            )
            tx.executemany(
                "INSERT INTO configs_event (uid, node_id, at, hash, status, reason) "
                "VALUES (?, ?, ?, ?, ?, ?)",
                ((one.uid, one.node_id, one.at, one.hash, one.status, one.reason) for one in events),
            )
            self._prune(tx, len(events))

        self._database.write(work)

    def events(self, uid: bytes, most: int) -> list[Event]:
        """Return what an agent has reported, the newest first."""
        question = (
            "SELECT uid, node_id, at, hash, status, reason FROM configs_event WHERE uid = ? "
            "ORDER BY id DESC LIMIT ?"
        )
        rows = self._database.read(lambda tx: tx.execute(question, (uid, most)).fetchall())
        return [Event(row[0], row[1], row[2], row[3], Status(row[4]), row[5]) for row in rows]

    def _prune(self, tx: sqlite3.Connection, added: int) -> None:
        self._written += added
        if self._written < _PRUNE_EVERY:
            return
        self._written = 0
        newest = "(SELECT MAX(id) FROM configs_event)"
        tx.execute(f"DELETE FROM configs_event WHERE id <= {newest} - ?", (KEPT_EVENTS,))  # noqa: S608
