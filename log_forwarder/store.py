"""What the forwarder must not forget, in one SQLite file.

Every transaction is on disk when it returns, so that it holds through a kill and through a power failure.
They are few: positions are written together, a few times a second, and the rest with each new file.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from compose_agent.errors import StateError
from compose_agent.statedb import StateFile
from compose_agent.typed import from_msgpack
from log_forwarder.event import Mark, Position

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAME_BYTES = 6

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE positions (
    sink TEXT NOT NULL, container TEXT NOT NULL, position BLOB NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (sink, container)
) WITHOUT ROWID;
CREATE TABLE reserved (
    sink TEXT NOT NULL, container TEXT NOT NULL, mark BLOB NOT NULL,
    PRIMARY KEY (sink, container)
) WITHOUT ROWID;
CREATE TABLE generations (
    container TEXT NOT NULL, name TEXT NOT NULL, fingerprint BLOB NOT NULL, inode INTEGER NOT NULL,
    at REAL NOT NULL, PRIMARY KEY (container, name)
) WITHOUT ROWID;
CREATE TABLE spool (
    container TEXT NOT NULL, generation TEXT NOT NULL, start INTEGER NOT NULL, size INTEGER NOT NULL,
    compressed INTEGER NOT NULL, crc INTEGER NOT NULL, at REAL NOT NULL, description BLOB NOT NULL,
    PRIMARY KEY (container, generation)
) WITHOUT ROWID;
INSERT INTO about VALUES ('born', (julianday('now') - 2440587.5) * 86400.0);
"""


def state_file(state_dir: Path) -> StateFile:
    """Return where the forwarder keeps its state."""
    loss = "what is in Docker's files is then sent again"
    return StateFile(state_dir, "forwarder", "log forwarder", loss, [_SCHEMA])


@dataclass(frozen=True, slots=True)
class Spooled:
    """A copy of a file that Docker was about to remove: its bytes from ``start`` on, ``size`` of them.

    ``description`` is what was known of the container, as the store's user encoded it.
    """

    container: str
    generation: str
    start: int
    size: int
    compressed: bool
    crc: int
    description: bytes


class Store:
    """The database of one forwarder; thread-safe. StateError when it cannot be used.

    A second forwarder on the same directory gets InstanceRunning with the pid of the first. One of several
    processes of a forwarder, which have inherited its ``lock``, opens it with ``locked``.
    """

    def __init__(self, state_dir: Path, *, locked: bool = False, patience: float = 0.0) -> None:
        self.folder = state_dir
        self.error = ""
        self._guard = threading.Lock()
        self._file = state_file(state_dir)
        self.lock = -1 if locked else self._file.lock(patience)
        try:
            self._database = self._file.open()
            self.born = float(self._about("born"))
        except BaseException:
            self._unlock()
            raise

    def positions(self, sink: str) -> dict[str, Position]:
        """Return the positions of a sink, by container id."""
        rows = self._rows("SELECT container, position FROM positions WHERE sink = ?", (sink,))
        with self._file.explained():
            return {container: from_msgpack(packed, Position) for container, packed in rows}

    def reserved(self, sink: str) -> dict[str, Mark]:
        """Return, by container id, before which place lines may have been sent to a sink."""
        rows = self._rows("SELECT container, mark FROM reserved WHERE sink = ?", (sink,))
        with self._file.explained():
            return {container: from_msgpack(packed, Mark) for container, packed in rows}

    def reserve(self, sink: str, container: str, mark: Mark) -> None:
        """Remember that lines before ``mark`` may be sent from now on."""
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO reserved VALUES (?, ?, ?)",
                (sink, container, msgspec.msgpack.encode(mark)),
            )

    def keep(self, positions: Mapping[tuple[str, str], Position]) -> None:
        """Write positions by (sink, container)."""
        now = time.time()
        with self._writing() as database:
            database.executemany(
                "INSERT OR REPLACE INTO positions VALUES (?, ?, ?, ?)",
                [
                    (sink, container, msgspec.msgpack.encode(position), now)
                    for (sink, container), position in positions.items()
                ],
            )

    def unmoved(self, seconds: float) -> set[str]:
        """Return the containers of which no position was written for so long."""
        query = "SELECT container FROM positions GROUP BY container HAVING max(at) < ?"
        return {container for (container,) in self._rows(query, (time.time() - seconds,))}

    def forget(self, container: str, generations: Iterable[str] | None = None) -> None:
        """Forget a container that is gone, or only some of its generations."""
        with self._writing() as database:
            if generations is None:
                database.execute("DELETE FROM positions WHERE container = ?", (container,))
                database.execute("DELETE FROM reserved WHERE container = ?", (container,))
                database.execute("DELETE FROM generations WHERE container = ?", (container,))
            else:
                database.executemany(
                    "DELETE FROM generations WHERE container = ? AND name = ?",
                    [(container, name) for name in generations],
                )

    def names(self, container: str) -> GenerationNames:
        """Return the memory of one container's generations."""
        rows = self._rows(
            "SELECT name, fingerprint, inode FROM generations WHERE container = ? ORDER BY at", (container,)
        )
        return GenerationNames(self, container, rows)

    def add_generation(self, container: str, name: str, fingerprint: bytes, inode: int) -> None:
        """Remember what a generation is called."""
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO generations VALUES (?, ?, ?, ?, ?)",
                (container, name, fingerprint, inode, time.time()),
            )

    def spooled(self) -> list[Spooled]:
        """Return what the spool holds, oldest first."""
        rows = self._rows(
            "SELECT container, generation, start, size, compressed, crc, description FROM spool ORDER BY at",
            (),
        )
        return [
            Spooled(container, generation, start, size, bool(compressed), crc, description)
            for container, generation, start, size, compressed, crc, description in rows
        ]

    def add_spooled(self, spooled: Spooled) -> None:
        """Take a copy, which is on disk, into the spool."""
        with self._writing() as database:
            database.execute(
                "INSERT OR REPLACE INTO spool VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    spooled.container,
                    spooled.generation,
                    spooled.start,
                    spooled.size,
                    spooled.compressed,
                    spooled.crc,
                    time.time(),
                    spooled.description,
                ),
            )

    def remove_spooled(self, container: str, generation: str) -> None:
        """Take a copy out of the spool."""
        with self._writing() as database:
            database.execute(
                "DELETE FROM spool WHERE container = ? AND generation = ?", (container, generation)
            )

    def close(self) -> None:
        """Close the file and let go of the lock."""
        with self._guard:
            self._database.close()
            self._unlock()

    def _unlock(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)

    def _about(self, key: str) -> str:
        return str(self._rows("SELECT value FROM about WHERE key = ?", (key,))[0][0])

    def _rows(self, query: str, values: tuple[str | float, ...]) -> list[tuple[Any, ...]]:
        with self._guard, self._file.explained():
            return self._database.execute(query, values).fetchall()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Hold the database for one transaction; a failure is kept in ``error`` until the next success."""
        try:
            with self._guard, self._file.explained(), self._database:
                yield self._database
        except StateError as error:
            self.error = error.message
            raise
        self.error = ""


class GenerationNames:
    """What the generations of one container are called."""

    def __init__(self, store: Store, container: str, rows: Sequence[tuple[str, bytes, int]]) -> None:
        self._store = store
        self._container = container
        self._rows = list(rows)

    def name(
        self,
        fingerprint: bytes,
        inode: int,
        others: Sequence[tuple[int, str]],
        *,
        moved: bool,
        renewed: bool = False,
    ) -> str:
        """Return the name that this file had before, or a new one; see ``sources.chain.Names``."""
        taken = {name for _, name in others}
        inodes = {other for other, _ in others}
        free = [row for row in self._rows if row[1] == fingerprint and row[0] not in taken]
        if not renewed:
            for name, _, known in reversed(free):
                if known == inode:
                    return name
        if moved:
            for name, _, known in free:
                if known not in inodes:
                    return name
        return self._add(fingerprint, inode)

    def between(self, before: str, after: str) -> list[str]:
        """Return the names that were given between two others; nothing if one of them is not known."""
        names = [row[0] for row in self._rows]
        if before not in names or after not in names:
            return []
        return names[names.index(before) + 1 : names.index(after)]

    def in_order(self, names: Iterable[str]) -> list[str]:
        """Return names in the order in which they were given; those that are not known come first."""
        places = {row[0]: at for at, row in enumerate(self._rows)}
        return sorted(names, key=lambda name: places.get(name, -1))

    def known(self) -> frozenset[str]:
        """Return all names that were given and are not forgotten."""
        return frozenset(row[0] for row in self._rows)

    def forget_before(self, name: str, let_go: Collection[str]) -> None:
        """Forget what was named before this generation, and what is ``let_go``, which may be named after it.

        Not what came after it and is gone: that it was there is what shows that lines are lost.
        """
        names = [row[0] for row in self._rows]
        before = names[: names.index(name)] if name in names else []
        if gone := {*before, *let_go}.intersection(names):
            self._store.forget(self._container, gone)
            self._rows = [row for row in self._rows if row[0] not in gone]

    def _add(self, fingerprint: bytes, inode: int) -> str:
        # From nothing but the container and the file, so that even without this state ids stay the same.
        same = sum(row[1:] == (fingerprint, inode) for row in self._rows)
        text = b"%b %b %d %d" % (self._container.encode(), fingerprint, inode, same)
        name = hashlib.blake2b(text, digest_size=_NAME_BYTES).hexdigest()
        self._store.add_generation(self._container, name, fingerprint, inode)
        self._rows.append((name, fingerprint, inode))
        return name
