"""A TCP proxy that lets requests through and cuts the connection before their answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_CHUNK = 65536


class CuttingProxy:
    """Passes everything to a loopback port; ``cut_answers`` of the next ones never come through.

    Only answers to a ``POST`` of ``path`` count. ``cut`` is released each time that one was withheld, when
    the server has answered and so is done with the request.
    """

    def __init__(self, port: int, path: bytes) -> None:
        self.cut_answers = 0
        self.cut = threading.Semaphore(0)
        self._target = ("127.0.0.1", port)
        self._path = path
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
            thread.join(10)
        self._listener.close()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _accept(self) -> None:
        while True:
            near, _ = self._listener.accept()
            if self._ended:
                break
            thread = threading.Thread(target=self._serve, args=(near,))
            self._threads.append(thread)
            thread.start()
        near.close()

    def _serve(self, near: socket.socket) -> None:
        # The server may be away, and both ends may go at any moment.
        with near, contextlib.suppress(OSError), socket.create_connection(self._target) as far:
            doomed = threading.Event()
            back = threading.Thread(target=self._answers, args=(far, near, doomed))
            back.start()
            while data := near.recv(_CHUNK):
                if data.startswith(b"POST " + self._path) and self.cut_answers:
                    self.cut_answers -= 1
                    doomed.set()
                far.sendall(data)
            far.shutdown(socket.SHUT_RDWR)
            back.join(10)

    def _answers(self, far: socket.socket, near: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(_CHUNK):
                if doomed.is_set():
                    near.shutdown(socket.SHUT_RDWR)
                    self.cut.release()
                    return
                near.sendall(data)
