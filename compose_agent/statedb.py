"""What all state on disk has in common: one SQLite file in the state directory, and a lock beside it.

::

    state = StateFile(folder, "forwarder", "log forwarder", LOSS, [_SCHEMA])
    lock = state.lock()         # InstanceRunning while another process holds it
    database = state.open()     # every transaction is on disk when it returns
    with state.explained():     # what SQLite says becomes a StateError
        database.execute(…)
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from compose_agent.errors import InstanceRunning, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of pages in memory for each connection; what is asked for is small, and the kernel has the file as well.
_CACHE_KIB = 128
# Another process (a command line that looks on, or a worker) holds the database for milliseconds.
_BUSY_SECONDS = 5.0
_LOCK_PAUSE_SECONDS = 0.1
_MAX_PID_BYTES = 20
# The rest of an extended error code says where in SQLite it came from.
_PRIMARY_CODE = 0xFF
# What SQLite sorts, or keeps to undo a statement, would else be a file in /tmp. A container with a read-only
# root has none, and the statement fails as if the disk did.
_IN_MEMORY = "PRAGMA temp_store = MEMORY"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class StateFile:
    """A role's database ``<name>.db`` and its lock ``<name>.lock`` in the state directory ``folder``.

    ``who`` is what the role is called in a sentence, ``loss`` what becomes of things when a damaged file is
    moved away. ``steps`` are SQL scripts: the first makes version 1 from nothing, each further one the next
    version from the one before.
    """

    folder: Path
    name: str
    who: str
    loss: str
    steps: Sequence[str]

    @property
    def path(self) -> Path:
        """The database."""
        return self.folder / f"{self.name}.db"

    def lock(self, patience: float = 0.0) -> int:
        """Make the folder, lock it for this process and return the descriptor, which holds the lock.

        Raises InstanceRunning, with the holder's pid, if that does not let go within ``patience`` seconds,
        and StateError when the folder cannot be used.
        """
        with self._usable():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            path = self.folder / f"{self.name}.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._hold(descriptor, time.monotonic() + patience)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def open(self) -> sqlite3.Connection:
        """Return the database, brought to the newest version; raises StateError.

        Its transactions are on disk when they return. Threads may share it, one at a time.
        """
        with self.explained():
            database = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                self._prepare(database)
            except BaseException:
                database.close()
                raise
            return database

    def open_read_only(self) -> sqlite3.Connection:
        """Return the database for somebody who only looks, also while the role runs; raises StateError.

        Needs no lock and changes no version: an older one is refused as well, because its role would first
        have to bring it up to date.
        """
        if not self.path.exists():
            raise StateError(
                f"there is no state in {self.path}",
                remedy=f"name the state directory of the {self.who} with --state-dir",
            )
        with self.explained():
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            database = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                database.execute(_IN_MEMORY)
                self._require_current(self._version(database))
            except BaseException:
                database.close()
                raise
            return database

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what SQLite says, or a value that cannot be decoded, into a StateError with a remedy."""
        try:
            yield
        except (sqlite3.Error, msgspec.DecodeError) as error:
            remedy = self._remedy(error)
            raise StateError(f"the state in {self.path} fails ({error})", remedy=remedy) from error

    def _hold(self, descriptor: int, deadline: float) -> None:
        while not _is_locked(descriptor):
            if time.monotonic() >= deadline:
                pid = os.pread(descriptor, _MAX_PID_BYTES, 0).decode("ascii", "replace").strip()
                raise InstanceRunning(
                    f"a {self.who} runs on {self.folder} already (pid {pid})",
                    remedy="stop it, or choose another --state-dir",
                )
            time.sleep(_LOCK_PAUSE_SECONDS)
        with self._usable():
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)

    def _prepare(self, database: sqlite3.Connection) -> None:
        with self._usable():
            self.path.chmod(0o600)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute(_IN_MEMORY)
        database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        version = self._version(database)
        for number, step in enumerate(self.steps[version:], version + 1):
            # A kill in between leaves the version before: all of a step is one transaction.
            database.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")

    def _version(self, database: sqlite3.Connection) -> int:
        version: int = database.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self.steps):
            known = f"schema {version}, this one knows {len(self.steps)}"
            raise StateError(
                f"{self.path} was written by a newer version ({known})",
                remedy="run that version, or choose another --state-dir",
            )
        return version

    def _require_current(self, version: int) -> None:
        if version < len(self.steps):
            raise StateError(
                f"{self.path} was written by an older version (schema {version} of {len(self.steps)})",
                remedy=f"start the {self.who} once, which brings it up to date",
            )

    def _remedy(self, error: Exception) -> str:
        code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY_CODE
        if code == sqlite3.SQLITE_FULL:
            return "free space on its disk"
        if code in _DAMAGED or isinstance(error, msgspec.DecodeError):
            return f"move {self.path} away; {self.loss}"
        return "check its disk and rights"

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            full = error.errno in {errno.ENOSPC, errno.EDQUOT}
            raise StateError(
                f"the state directory {self.folder} cannot be used ({error.strerror})",
                remedy="free space on its disk"
                if full
                else "make it writable for this user, or choose another with --state-dir",
            ) from error


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
