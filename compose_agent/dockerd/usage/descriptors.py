"""Files that are read again and again: kept open while there are descriptors to spare, else opened anew."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

# One call is enough for nearly every file; of /proc/<pid>/net/dev the kernel gives no more than one page of
# whole lines at a time, some 32 interfaces, and of a cgroup file all that fits.
_READ_BYTES = 16384
# An answer below this is the whole file: a page less the longest line that may have been left for the next.
_SHORT_BYTES = 3072
# Descriptors left for connections, the Engine, logs, and what libraries open.
_RESERVED = 128
_PER_CONTAINER = 10


class Descriptors:
    """A set of open files, by position; a missing one is -1 and reads as empty."""

    def __init__(self, paths: list[Path | None]) -> None:
        self._fds: list[int] = []
        try:
            for path in paths:
                self._fds.append(_open(path) if path else -1)
        except BaseException:
            self.close()
            raise

    def read(self) -> list[bytes]:
        """Return the content of every file."""
        return [_content(fd) if fd >= 0 else b"" for fd in self._fds]

    def close(self) -> None:
        """Close every file; a second time does nothing."""
        fds, self._fds = self._fds, []
        for fd in fds:
            if fd >= 0:
                os.close(fd)


class Reopened:
    """The same reading with one descriptor at a time, for when the process may not keep so many.

    The first path is of a file that every container has: when it is missing, the container is gone.
    """

    def __init__(self, paths: list[Path | None]) -> None:
        self._paths = paths

    def read(self) -> list[bytes]:
        """Return the content of every file; OSError with ENODEV if the container is gone."""
        contents = [_content_at(path) if path else b"" for path in self._paths]
        if not contents[0]:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), str(self._paths[0]))
        return contents

    def close(self) -> None:
        """Nothing is held."""


def most_kept() -> int:
    """Return of how many containers this process may keep the files open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 2**31 if soft == resource.RLIM_INFINITY else soft
    return max(0, limit - _RESERVED) // _PER_CONTAINER


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1  # a controller that is off, or an older kernel


def _content(fd: int) -> bytes:
    data = os.pread(fd, _READ_BYTES, 0)
    if len(data) < _SHORT_BYTES:
        return data
    while more := os.pread(fd, _READ_BYTES, len(data)):
        data += more
    return data


def _content_at(path: Path) -> bytes:
    fd = _open(path)
    if fd < 0:
        return b""
    try:
        return _content(fd)
    finally:
        os.close(fd)
