"""A file that only whole lines are added to, and that is rotated by its size.

``x`` becomes ``x.1``, what was ``x.1`` becomes ``x.2`` and so on; with compression ``x.1.gz``. Several
processes may write the same chain: each holds a lock on the current file while it adds lines or rotates, so
that a line without an end is always one that a killed process left.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from compose_agent.durable import sync_folder
from log_forwarder.sinks.packing import held, pack

# Logs can hold what not everybody may read; a group can be given them.
_MODE = 0o640
# Enough to find the beginning of a line in one or two reads.
_BLOCK_BYTES = 64 * 1024
# Another process adds lines in milliseconds, or packs a file before it rotates, in seconds.
_LOCK_SECONDS = 10.0
_LOCK_PAUSE_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Limits:
    """When a file is rotated, how many there are with the current one, and whether older ones are packed."""

    most_bytes: int
    most_files: int
    compress: bool


class Busy(OSError):
    """Another process holds the file and does not let go of it."""


class RotatedFile:
    """The current file of a chain; not thread-safe."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self._size = 0
        self._limits = limits
        self._descriptor = -1
        self._packer: threading.Thread | None = None

    def open(self) -> None:
        """Open or create the file unless it is open; raises OSError."""
        if self._descriptor >= 0 and self._is_ours():
            return
        self.close()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        try:
            sync_folder(self.path.parent)
        except OSError:
            self.close()
            raise
        self._size = -1  # not known: a line without an end may be at its end
        self._pack()

    def append(self, data: bytes) -> None:
        """Add whole lines, on disk when this returns; on OSError the file is as it was.

        When even that fails the file is closed, and what it holds is to be looked up again (``is_open``).
        """
        while not self._appended(data):
            pass

    def _appended(self, data: bytes) -> bool:
        """Add whole lines; False if a new file was begun instead, which another process may hold by now."""
        with self._locked():
            if self._size and self._size + len(data) > self._limits.most_bytes:
                self._rotate()
                return False
            try:
                _write(self._descriptor, data)
                os.fdatasync(self._descriptor)
            except OSError:
                self._take_back()
                raise
            self._size += len(data)
            return True

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._descriptor >= 0

    def tail(self, most_bytes: int, counts: Callable[[bytes], bool] | None = None) -> Iterator[bytes]:
        """Yield the whole lines within the last ``most_bytes`` of the chain, file by file, newest first.

        With ``counts`` only lines of which it is true are yielded and make up those bytes.
        """
        with ExitStack() as opened:
            with self._locked():  # so that nobody rotates meanwhile
                files = [opened.enter_context(each) for each in self._newest_first()]
            for file in files:
                if most_bytes <= 0:
                    break
                for line in file if counts else _last_lines(file, most_bytes):
                    if counts is None or counts(line):
                        most_bytes -= len(line)
                        yield line

    def close(self) -> None:
        """Close the file, and wait for what is being packed."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
        self._wait_for_packer()

    def _newest_first(self) -> Iterator[IO[bytes]]:
        yield self.path.open("rb")
        for number in range(1, self._limits.most_files):
            plain, packed = self._numbered(number), self._numbered(number, packed=True)
            if plain.exists():
                yield plain.open("rb")
            elif packed.exists():
                yield _unpacked(packed)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the current file, with nothing but whole lines in it; raises OSError."""
        deadline = time.monotonic() + _LOCK_SECONDS
        self.open()
        while not self._is_locked():
            if time.monotonic() > deadline:
                raise Busy(0, "another process holds it")
            time.sleep(_LOCK_PAUSE_SECONDS)
            self.open()
        descriptor = self._descriptor
        try:
            if os.fstat(descriptor).st_size != self._size:
                self._size = _cut(descriptor)
            yield
        finally:
            if self._descriptor == descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _is_locked(self) -> bool:
        """Lock what is open; False if another process has it, or has just rotated it away."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return self._is_ours()

    def _is_ours(self) -> bool:
        """Tell whether the path still leads to what is open: somebody may have moved or removed it."""
        try:
            now, then = self.path.stat(), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self.close()

    def _rotate(self) -> None:
        """Begin a new file; raises OSError with the chain in an order from which this can be done again.

        Called with the lock, which goes with the file that is rotated away.
        """
        self._wait_for_packer()
        last = self._limits.most_files - 1
        if not last:
            self.path.unlink()
            return
        with ExitStack() as holding:
            with suppress(FileNotFoundError):  # there is none, or it is packed
                holding.enter_context(held(self._numbered(1)))
            self._make_room(last)
            self.path.rename(self._numbered(1))

    def _make_room(self, last: int) -> None:
        for packed in (False, True):
            self._numbered(last, packed=packed).unlink(missing_ok=True)
            for number in range(last, 1, -1):
                with suppress(FileNotFoundError):
                    self._numbered(number - 1, packed=packed).rename(self._numbered(number, packed=packed))

    def _pack(self) -> None:
        """Pack the file before this one in a thread, also one that a killed process left unpacked."""
        plain = self._numbered(1)
        if self._limits.compress and plain.exists():
            self._packer = threading.Thread(target=pack, args=(plain,), name="file-gzip", daemon=True)
            self._packer.start()

    def _wait_for_packer(self) -> None:
        if self._packer is not None:
            self._packer.join()
            self._packer = None

    def _numbered(self, number: int, *, packed: bool = False) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{'.gz' if packed else ''}")


def _cut(descriptor: int) -> int:
    """Cut what is behind the last newline, and return the size."""
    size = end = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) == b"\n":
        return size
    while end > 0:
        start = max(0, end - _BLOCK_BYTES)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _unpacked(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path))


def _last_lines(file: IO[bytes], most_bytes: int) -> Iterator[bytes]:
    """Yield the whole lines within the last bytes of a file."""
    start = max(0, file.seek(0, os.SEEK_END) - most_bytes)
    file.seek(start)
    if start:
        next(file, None)  # the rest of one that began before
    yield from file
