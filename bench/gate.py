"""A door before a server on loopback: open, shut, or passing requests and keeping the answers."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

_BYTES = 256 * 1024
_BACKLOG = 32
# A server on loopback accepts at once, or is stopped, and then nobody is to wait for it here.
_CONNECT_SECONDS = 5.0


class Gate:
    """Listens on ``port`` while it is open, and passes connections on to ``upstream``.

    ``muted``: answers are thrown away, and ``swallowed`` is set as soon as one was.
    """

    def __init__(self, upstream: int) -> None:
        self.port = 0
        self.muted = False
        self.swallowed = threading.Event()
        self._upstream = upstream
        self._listener: socket.socket | None = None
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.shut()

    def open(self) -> None:
        """Listen, on the same port each time, and pass everything."""
        self.muted = False
        self.swallowed.clear()
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=_BACKLOG)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Refuse connections, and cut those there are."""
        listener, self._listener = self._listener, None
        if listener is not None:
            _end(listener)
        with self._lock:
            ends, self._ends = self._ends, set()
        for end in ends:
            _end(end)

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=self._connect, args=(listener, client), daemon=True).start()

    def _connect(self, listener: socket.socket, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._upstream), _CONNECT_SECONDS)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            if self._listener is not listener:  # shut in the meantime
                client.close()
                server.close()
                return
            self._ends |= {client, server}
        threading.Thread(target=self._pass, args=(server, client, True), daemon=True).start()
        self._pass(client, server, False)

    def _pass(self, source: socket.socket, target: socket.socket, answers: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_BYTES):
                if answers and self.muted:
                    self.swallowed.set()
                else:
                    target.sendall(data)
        with self._lock:
            self._ends -= {source, target}
        _end(source)
        _end(target)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
