"""Jobs and their parts on disk, among the tables of ``manager.db``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from compose_agent.typed import from_msgpack
from fleet.database import Database, Tables
from fleet.manager.commands.store import KEPT_SECONDS
from fleet.manager.jobs.model import Job, Part, State

_TABLES = Tables(
    "jobs",
    [
        """
CREATE TABLE jobs (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, issued REAL NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX jobs_running ON jobs (id) WHERE state = 'running';
CREATE TABLE jobs_parts (
    job TEXT NOT NULL, number INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (job, number)
) WITHOUT ROWID;
"""
    ],
)


class JobStore:
    """Every call raises StateError; what it writes is on disk when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database
        database.add(_TABLES)

    def put(self, job: Job, parts: Sequence[Part]) -> None:
        """Write a job and some of its parts, all or nothing."""
        self._database.write(lambda tx: put_in(tx, job, parts))

    def get(self, job_id: str) -> tuple[Job, list[Part]] | None:
        """Return a job with its parts."""

        def work(tx: sqlite3.Connection) -> tuple[Job, list[Part]] | None:
            row = tx.execute("SELECT record FROM jobs WHERE id = ?", (job_id,)).fetchone()
            return (_job(row[0]), _parts(tx, job_id)) if row else None

        return self._database.read(work)

    def running(self) -> list[tuple[Job, list[Part]]]:
        """Return the jobs that have not ended, oldest first, with their parts."""
        question = "SELECT record FROM jobs WHERE state = 'running' ORDER BY id"

        def work(tx: sqlite3.Connection) -> list[tuple[Job, list[Part]]]:
            jobs = [_job(data) for (data,) in tx.execute(question).fetchall()]
            return [(job, _parts(tx, job.id)) for job in jobs]

        return self._database.read(work)

    def latest(self, most: int, before: str = "") -> list[Job]:
        """Return jobs, the newest first; ``before``: only those made before this one."""
        question = "SELECT record FROM jobs WHERE id < ? ORDER BY id DESC LIMIT ?"
        given = (before or "~", most)  # ~ comes after every digit and letter
        return self._database.read(lambda tx: [_job(data) for (data,) in tx.execute(question, given)])


def put_in(tx: sqlite3.Connection, job: Job, parts: Iterable[Part]) -> None:
    """Write a job and some of its parts in a transaction that is under way; the oldest that are over go."""
    tx.execute(
        "INSERT OR REPLACE INTO jobs VALUES (?, ?, ?, ?)",
        (job.id, job.state, job.issued, msgspec.msgpack.encode(job)),
    )
    tx.executemany(
        "INSERT OR REPLACE INTO jobs_parts VALUES (?, ?, ?)",
        ((job.id, part.number, msgspec.msgpack.encode(part)) for part in parts),
    )
    if job.state is State.RUNNING:
        return
    oldest = job.issued - KEPT_SECONDS
    old = "SELECT id FROM jobs WHERE issued < ? AND state <> 'running'"
    tx.execute(f"DELETE FROM jobs_parts WHERE job IN ({old})", (oldest,))  # noqa: S608 - our own words
    tx.execute("DELETE FROM jobs WHERE issued < ? AND state <> 'running'", (oldest,))


def _parts(tx: sqlite3.Connection, job_id: str) -> list[Part]:
    question = "SELECT record FROM jobs_parts WHERE job = ? ORDER BY number"
    return [from_msgpack(data, Part) for (data,) in tx.execute(question, (job_id,))]


def _job(data: bytes) -> Job:
    return from_msgpack(data, Job)
