"""A file that only whole lines are added to, and that is rotated by its size.

``x`` becomes ``x.1``, what was ``x.1`` becomes ``x.2`` and so on; with compression ``x.1.gz``.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

# Logs can hold what not everybody may read; a group can be given them.
_MODE = 0o640
# Enough to find the beginning of a line in one or two reads.
_BLOCK_BYTES = 64 * 1024
# Twice as fast as the default, and a tenth larger.
_GZIP_LEVEL = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """When a file is rotated, how many there are with the current one, and whether older ones are packed."""

    most_bytes: int
    most_files: int
    compress: bool


class Busy(OSError):
    """Another process writes the file."""


class RotatedFile:
    """The current file of a chain; not thread-safe."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self.path = path
        self.size = 0
        self._limits = limits
        self._descriptor = -1
        self._packer: threading.Thread | None = None

    def open(self) -> None:
        """Open or create the file unless it is open, and cut a torn line off its end; raises OSError."""
        if self._descriptor >= 0 and self._is_ours():
            return
        self.close()
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        try:
            _lock(descriptor)
            self.size = _cut(descriptor)
            _sync_folder(self.path.parent)
        except OSError:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        self._pack()

    def append(self, data: bytes) -> None:
        """Add whole lines, on disk when this returns; on OSError the file is as it was.

        When even that fails the file is closed, and what it holds is to be looked up again (``is_open``).
        """
        if self.size and self.size + len(data) > self._limits.most_bytes:
            self._rotate()
        try:
            _write(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError:
            self._take_back()
            raise
        self.size += len(data)

    @property
    def is_open(self) -> bool:
        """Whether the file is open."""
        return self._descriptor >= 0

    def tail(self, most_bytes: int) -> Iterator[bytes]:
        """Yield the whole lines within the last ``most_bytes`` of the chain, file by file, newest first."""
        self._wait_for_packer()
        for opened in self._newest_first():
            with opened as file:
                size = file.seek(0, os.SEEK_END)
                start = max(0, size - most_bytes)
                file.seek(start)
                yield from _lines_behind(start, file)
            most_bytes -= size
            if most_bytes <= 0:
                break

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

    def _is_ours(self) -> bool:
        """Tell whether the path still leads to what is open: somebody may have moved or removed it."""
        try:
            now, then = self.path.stat(), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (now.st_ino, now.st_dev) == (then.st_ino, then.st_dev)

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._descriptor, self.size)
        except OSError:
            self.close()

    def _rotate(self) -> None:
        """Begin a new file; raises OSError with the chain in an order from which this can be done again."""
        self.close()
        last = self._limits.most_files - 1
        if last:
            self._make_room(last)
            self.path.rename(self._numbered(1))
        else:
            self.path.unlink()
        self.open()

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
            self._packer = threading.Thread(target=_pack, args=(plain,), name="file-gzip", daemon=True)
            self._packer.start()

    def _wait_for_packer(self) -> None:
        if self._packer is not None:
            self._packer.join()
            self._packer = None

    def _numbered(self, number: int, *, packed: bool = False) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{'.gz' if packed else ''}")


def _lock(descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Busy(error.errno, "another process writes it") from error


def _cut(descriptor: int) -> int:
    """Cut what is behind the last newline, and return the size."""
    size = end = os.fstat(descriptor).st_size
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


def _lines_behind(start: int, file: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the lines of a file from ``start``, without the rest of one that began before."""
    if start:
        next(file, None)
    yield from file


def _pack(plain: Path) -> None:
    """Write ``plain.gz`` whole or not at all; what cannot be packed now is left for the next time."""
    partial = plain.with_name(f"{plain.name}.gz.partial")
    try:
        _pack_into(partial, plain)
        partial.rename(plain.with_name(f"{plain.name}.gz"))
        _sync_folder(plain.parent)
        plain.unlink()
    except OSError:
        with suppress(OSError):  # where the disk is full it would take room for nothing
            partial.unlink()


def _pack_into(partial: Path, plain: Path) -> None:
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
    with open(descriptor, "wb") as raw, plain.open("rb") as source:  # noqa: PTH123 - a descriptor
        with gzip.GzipFile(plain.name, "wb", _GZIP_LEVEL, raw) as target:
            shutil.copyfileobj(source, target, _BLOCK_BYTES)
        raw.flush()
        os.fsync(raw.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
