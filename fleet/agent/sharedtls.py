"""A TLS connection that one thread reads while others write.

OpenSSL takes one thread at a time in a connection. Python 3.11 and 3.12 let a thread in that writes while
another one reads, as the library for WebSocket does it, and then now and then a connection ends in an
"internal error" or worse. Here each enters for as long as the kernel has something for it, and waits outside.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

_MILLISECONDS = 1000


class SharedTls:
    """What of a socket is needed over ``connection``, whose handshake is over.

    Reading waits without an end, as ``shutdown`` of both directions ends it; writing waits for
    ``settimeout``. Both raise OSError.
    """

    def __init__(self, connection: ssl.SSLSocket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._inside = threading.Lock()
        self._writing = threading.Lock()  # what was begun goes on before anything else
        self._timeout: float | None = None

    def recv(self, most: int) -> bytes:
        """Return what has come, at least a byte unless the other end is done."""
        return self._through(lambda: self._connection.recv(most), None)

    def sendall(self, data: bytes) -> None:
        """Send everything; raises TimeoutError when that takes too long."""
        until = None if self._timeout is None else time.monotonic() + self._timeout
        rest = memoryview(data)
        with self._writing:
            while rest:
                rest = rest[self._through(partial(self._connection.send, rest), until) :]

    def settimeout(self, seconds: float | None) -> None:
        """Have what is written from now on take so long at most; None for as long as it takes."""
        self._timeout = seconds

    def shutdown(self, how: int) -> None:
        """Close one direction or both; whoever waits goes on."""
        socket.socket.shutdown(self._connection, how)  # TLS's own one forgets the keys, under a reader's eyes

    def close(self) -> None:
        """Close the connection; ``shutdown`` comes first."""
        self._connection.close()

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is closed."""
        return self._connection.fileno()

    def getsockname(self) -> Any:
        """Return the own address."""
        return self._connection.getsockname()

    def getpeername(self) -> Any:
        """Return the other end's address."""
        return self._connection.getpeername()

    def _through(self, work: Callable[[], T], until: float | None) -> T:
        """Return what ``work`` returns as soon as the kernel lets it."""
        while True:
            with self._inside:
                try:
                    return work()
                except ssl.SSLWantReadError:
                    awaited = select.POLLIN
                except ssl.SSLWantWriteError:
                    awaited = select.POLLOUT
            self._wait(awaited, until)

    def _wait(self, awaited: int, until: float | None) -> None:
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            raise TimeoutError("the other end takes nothing")
        poller = select.poll()
        try:
            poller.register(self._connection, awaited)
        except ValueError as error:
            raise OSError("the connection is closed") from error
        poller.poll(None if left is None else left * _MILLISECONDS)
