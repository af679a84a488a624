"""A server on a unix socket that says exactly what a test wants, byte by byte."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Reply = Callable[[str], Iterable[bytes] | None]


def response(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    """Return a whole HTTP answer."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    """Return a chunk of a chunked body; an empty one ends it."""
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PONG = response(b"OK", headers="Api-Version: 1.51\r\nServer: Docker/28\r\n")


class Talker:
    """Answers each request with what ``reply(path)`` yields; None closes the connection without a word."""

    def __init__(self, path: Path, reply: Reply) -> None:
        self.path = path
        self.reply = reply
        self.connections = 0
        self.requests: list[str] = []
        self._stopped = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(64)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close every connection."""
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def wait(self, seconds: float) -> bool:
        """Wait between two bytes; False when the test is over."""
        return not self._stopped.wait(seconds)

    def _accept(self) -> None:
        while not self._stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            threading.Thread(target=self._serve, args=[connection], daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            while request := _request(connection):
                self.requests.append(request)
                parts = self.reply(request)
                if parts is None:
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                for part in parts:
                    connection.sendall(part)


def _request(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return ""
        data += more
    return data.split(b" ", 2)[1].decode()


@contextmanager
def talking(path: Path, reply: Reply) -> Iterator[Talker]:
    """Run a talker; ``reply`` may also be given ``talker.wait`` through the closure."""
    talker = Talker(path, reply)
    try:
        yield talker
    finally:
        talker.stop()


def after_ping(answer: Callable[[], Iterable[bytes] | None]) -> Reply:
    """Return a reply that answers the ping and then what ``answer`` yields."""
    return lambda path: [PONG] if path == "/_ping" else answer()
