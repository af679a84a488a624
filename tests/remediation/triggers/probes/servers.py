"""Servers that containers on the host's network could be."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Answers every connection with ``answer``, ``drip`` seconds between its bytes; None says nothing."""

    def __init__(self) -> None:
        self.answer: bytes | None = OK
        self.drip = 0.0
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._stop.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                self.requests.append(connection.recv(4096))
                self._send(connection)
            except OSError:
                pass

    def _send(self, connection: socket.socket) -> None:
        if self.answer is None:
            self._stop.wait(30)
            return
        for at in range(len(self.answer)) if self.drip else ():
            connection.sendall(self.answer[at : at + 1])
            time.sleep(self.drip)
        if not self.drip:
            connection.sendall(self.answer)


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server."""
    server = Server()
    server.start()
    try:
        yield server
    finally:
        if not server._stop.is_set():
            server.stop()
