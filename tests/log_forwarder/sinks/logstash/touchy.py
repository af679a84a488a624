"""A TCP proxy that cuts the connection before a certain text comes through."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65536
_PATIENCE_SECONDS = 10.0


class TouchyProxy:
    """Passes everything to a loopback port and back, but for ``text``."""

    def __init__(self, port: int, text: bytes) -> None:
        self._target = ("127.0.0.1", port)
        self._text = text
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ended = False
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        socket.create_connection(("127.0.0.1", self.port)).close()
        for thread in self._threads:
            thread.join(_PATIENCE_SECONDS)
        self._listener.close()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self._ended:
                break
            self._threads.append(threading.Thread(target=self._serve, args=(near,)))
            self._threads[-1].start()
        near.close()

    def _serve(self, near: socket.socket) -> None:
        # The server may be away: its client finds its connection closed.
        with near, contextlib.suppress(OSError), socket.create_connection(self._target) as far:
            back = threading.Thread(target=_pass, args=(far, near, b""))
            back.start()
            _pass(near, far, self._text)
            for each in (near, far):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            back.join(_PATIENCE_SECONDS)


def _pass(source: socket.socket, target: socket.socket, text: bytes) -> None:
    """Pass on what comes until the end, or until ``text`` is in it."""
    seen = b""
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            seen = seen[-len(text) :] + data
            if text and text in seen:
                return
            target.sendall(data)
