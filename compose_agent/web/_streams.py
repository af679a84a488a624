"""What cheroot reads requests from and writes answers to: bytes read ahead without waiting, and deadlines."""

from __future__ import annotations

import errno
import io
import ssl
from typing import TYPE_CHECKING

from compose_agent.deadline import Deadline

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from _typeshed import ReadableBuffer, WriteableBuffer

# For each piece that the application gives: what Prometheus waits for a whole scrape by default.
WRITE_SECONDS = 10.0
# A client that takes nothing for that long does not read; it would hold a worker.
STALL_SECONDS = 3.0
PIECE_BYTES = 64 * 1024
# cheroot reads lines in pieces of 256 bytes, and wants one more than it allows before it refuses a head.
_BEYOND_BYTES = 512
# An empty line, also without the carriage returns that cheroot insists on: what it refuses at once.
_HEAD_ENDS = (b"\n\r\n", b"\n\n")
_END_BYTES = max(map(len, _HEAD_ENDS))


class ClientLost(OSError):
    """The client is gone or too slow; apart from the application's own OSErrors.

    The first argument is what cheroot looks at: an errno, or "timed out".
    """


def _lost(error: OSError) -> ClientLost:
    if isinstance(error, TimeoutError):
        return ClientLost("timed out")
    return ClientLost(errno.ECONNRESET, str(error))


class Raw(io.RawIOBase):
    """A socket's bytes: first those read ahead, then new ones within ``deadline``."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self._searched = 0
        self.ahead = bytearray()
        self.waits = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        if not self.waits:
            return None
        if self.ahead:
            return self._take(memoryview(buffer))
        try:
            self._sock.settimeout(self._deadline.remaining())
            return self._sock.recv_into(buffer)
        except OSError as error:
            raise _lost(error) from error

    def give_back(self, piece: bytes) -> None:
        """Put bytes before all others that are still to be read."""
        self.ahead[:0] = piece
        self._searched = 0

    def gather(self, most: int) -> bool:
        """Read ahead what is there, without waiting.

        Returns true at the end of a head or of the connection, and from ``most`` bytes on.
        """
        while len(self.ahead) < most and not self._has_head():
            piece = self._arrived()
            if not piece:
                return piece is not None
            self.ahead += piece
        return True

    def _take(self, view: memoryview) -> int:
        size = min(len(view), len(self.ahead))
        view[:size] = self.ahead[:size]
        del self.ahead[:size]
        self._searched = 0
        return size

    def _has_head(self) -> bool:
        # What was searched is not searched again, or a head sent byte by byte would cost its square.
        start = max(self._searched - _END_BYTES, 0)
        if any(self.ahead.find(end, start) >= 0 for end in _HEAD_ENDS):
            return True
        self._searched = len(self.ahead)
        return False

    def _arrived(self) -> bytes | None:
        try:
            self._sock.settimeout(0)
            return self._sock.recv(PIECE_BYTES)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        except OSError:
            return b""


class Reader(io.BufferedReader):
    """What cheroot reads requests from; ``ready`` tells whether a worker would find something to do."""

    raw: Raw
    # cheroot's statistics, which are off, would read it.
    bytes_read = 0

    def __init__(self, raw: Raw, header_bytes: int, ready: Callable[[], bool]) -> None:
        super().__init__(raw)
        self._most = header_bytes + _BEYOND_BYTES
        self.has_data = ready

    @property
    def begun(self) -> bool:
        """Tell whether a part of a request was read ahead."""
        return bool(self.raw.ahead)

    def gather(self) -> bool:
        """Read ahead without waiting; true when a head can be parsed, or refused, without waiting."""
        self.raw.waits = False
        try:
            # Later requests, sent without waiting for the answers to those before.
            if held := self.peek():
                self.raw.give_back(self.read1(len(held)))
        finally:
            self.raw.waits = True
        return self.raw.gather(self._most)


class Writer:
    """What cheroot writes answers to: each piece goes out whole within a deadline, and without stalling."""

    bytes_written = 0
    closed = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        # More than the usual, for this answer.
        self.patience = 0.0

    def write(self, piece: ReadableBuffer) -> int:
        """Send all of ``piece``; ClientLost when the client does not take it in time."""
        view = memoryview(piece)
        deadline = Deadline(max(WRITE_SECONDS, self.patience))
        try:
            while view:
                self._sock.settimeout(min(deadline.remaining(), max(STALL_SECONDS, self.patience)))
                view = view[self._sock.send(view[:PIECE_BYTES]) :]
        except OSError as error:
            raise _lost(error) from error
        return memoryview(piece).nbytes

    def close(self) -> None:
        """Leave the socket to the connection."""
