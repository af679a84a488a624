"""One file of a container's log, from its creation to its removal, whatever it is called meanwhile."""

from __future__ import annotations

import errno
import gzip
import os
import stat
import threading
import time
import zlib
from pathlib import Path
from typing import IO, Protocol

# Above the largest record (16 KiB of text, each byte escaped to six, and attributes); small enough that a
# block of a hundred containers does not fill the memory.
BLOCK_BYTES = 256 * 1024


class Damaged(OSError):
    """A compressed file that cannot be unpacked to its end."""


class Reader(Protocol):
    """Reads one generation, for one follower."""

    def read(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes at ``offset``; nothing at the end. Raises OSError, Damaged."""

    def close(self) -> None:
        """Let go of what was opened for this reader."""


class Generation:
    """A file by its open descriptor, which outlives renaming and removal.

    ``final`` says that nothing more is written to it, and ``final_at`` since when (monotonic), ``lost`` that
    what is unread cannot be read any more; ``size`` is what was seen last (of a compressed file: packed);
    ``start`` is the offset of the descriptor's first byte (a copy may have the end of a file only). ``name``
    is empty until its first record is whole. ``detached`` says that files before it may have come and gone
    while nobody watched.
    """

    __slots__ = (
        "_descriptor",
        "_guard",
        "compressed",
        "copied",
        "detached",
        "final",
        "final_at",
        "fingerprint",
        "inherited",
        "inode",
        "key",
        "lost",
        "name",
        "renewed",
        "size",
        "start",
    )

    def __init__(
        self, descriptor: int, *, compressed: bool = False, start: int = 0, copy_of: str = ""
    ) -> None:
        status = os.fstat(descriptor)
        self._descriptor = descriptor
        self._guard = threading.Lock()
        self.inode = status.st_ino
        self.size = status.st_size + start
        self.compressed = compressed
        self.start = start
        self.name = copy_of
        self.copied = bool(copy_of)
        self.detached = False
        self.fingerprint = b""
        self.final = False
        self.final_at = 0.0
        if compressed or self.copied:
            self.finish()
        self.lost = False
        self.key = object()
        self.inherited = compressed
        self.renewed = False

    def finish(self) -> None:
        """Take note that nothing more is written to it."""
        if not self.final:
            self.final = True
            self.final_at = time.monotonic()

    @classmethod
    def open(cls, path: Path) -> Generation:
        """Open a file of Docker's, read-only; raises OSError, also for what is no plain file."""
        # A link could lead anywhere, and to open a pipe would wait for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        return cls(descriptor, compressed=path.suffix == ".gz")

    def reader(self) -> Reader:
        """Return a reader for one follower."""
        if not self.compressed:
            return _Plain(self)
        # Opened anew, because a duplicate would share its offset with other readers.
        return _Unpacked(Path(f"/proc/self/fd/{self._descriptor}").open("rb"))

    def pread(self, size: int, offset: int) -> bytes:
        """Read bytes as they are in the file."""
        with self._guard:  # a descriptor that is closed meanwhile may be another file's
            if self._descriptor < 0:
                return b""
            return os.pread(self._descriptor, size, offset - (self.start if self.copied else 0))

    def end(self) -> int:
        """Return the size of the file now."""
        with self._guard:
            if self._descriptor < 0:
                return self.size
            return os.fstat(self._descriptor).st_size + (self.start if self.copied else 0)

    @property
    def is_open(self) -> bool:
        """Whether it can be read."""
        return self._descriptor >= 0

    def links(self) -> int:
        """Return how many names the file has: 0 when Docker has removed it, or when it is closed."""
        with self._guard:
            return os.fstat(self._descriptor).st_nlink if self._descriptor >= 0 else 0

    def again(self) -> Generation:
        """Return the same file as a generation of its own that begins at the file's present end."""
        fresh = Generation(os.dup(self._descriptor))
        fresh.renewed = True
        fresh.start = fresh.size
        return fresh

    def copy(self, target: int, start: int) -> int:
        """Write the bytes from ``start`` on to a descriptor and return their CRC-32; raises OSError.

        Also when it was closed meanwhile: then the copy may be shorter than the file.
        """
        crc = 0
        while block := self.pread(BLOCK_BYTES, start):
            crc = zlib.crc32(block, crc)
            start += len(block)
            if os.write(target, block) != len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if not self.is_open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return crc

    def close(self) -> None:
        """Close the descriptor; readers that are still open see the end of the file."""
        with self._guard:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class _Plain:
    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    def read(self, offset: int, size: int) -> bytes:
        return self._generation.pread(size, offset)

    def close(self) -> None:
        """Do nothing: the descriptor is the generation's."""


class _Unpacked:
    """Reads what was compressed, forwards; going back begins anew."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._unpacked = gzip.GzipFile(fileobj=file)

    def read(self, offset: int, size: int) -> bytes:
        try:
            self._unpacked.seek(offset)
            return self._unpacked.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise Damaged(f"damaged gzip data: {error}") from error

    def close(self) -> None:
        self._file.close()
