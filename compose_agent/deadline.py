"""One span of time that several blocking calls share."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Deadline:
    """Count down from ``seconds``; a socket's own timeout would begin anew with every byte."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def restart(self, seconds: float) -> None:
        """Begin anew, with ``seconds`` from now."""
        self._end = self._clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, more than zero, or raise TimeoutError."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    @property
    def expired(self) -> bool:
        """Tell whether no time is left."""
        return self._clock() >= self._end


class DeadlineSocket(socket.socket):
    """A socket on which ``settimeout(t)`` means: everything from now on within ``t`` seconds."""

    _deadline: Deadline | None = None

    def settimeout(self, value: float | None) -> None:
        """Start a new deadline ``value`` seconds from now; None waits for ever."""
        self._deadline = None if value is None else Deadline(value)
        super().settimeout(value)

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive within what is left of the deadline."""
        self._shrink()
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send within what is left of the deadline."""
        self._shrink()
        super().sendall(*args, **kwargs)

    def _shrink(self) -> None:
        if self._deadline is not None:
            super().settimeout(self._deadline.remaining())


def connect_unix(path: str | Path, timeout: float | None) -> DeadlineSocket:
    """Return a socket connected to ``path``, whose deadline has begun; raises OSError."""
    sock = DeadlineSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        sock.connect(os.fspath(path))
    except BaseException:
        sock.close()
        raise
    return sock
