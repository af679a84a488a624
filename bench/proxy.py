"""A proxy on a unix socket that passes bytes on and records the requests it sees."""

from __future__ import annotations

import re
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

# The first line of a request, which begins a packet: clients wait for an answer before they ask again.
_REQUEST = re.compile(rb"^(GET|HEAD|POST|PUT|DELETE) (?:/v[\d.]+)?(/[^ ?]*)[^ ]* HTTP/1\.1\r\n")
_ID = re.compile(r"/containers/[^/]+/")
_BYTES = 65536


class RecordingProxy:
    """Listens on ``path``; ``calls`` has ``GET /containers/{id}/json`` and its like, in order."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._folder = tempfile.TemporaryDirectory(prefix="engine-proxy-")
        self.path = Path(self._folder.name) / "docker.sock"
        self.calls: list[str] = []
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self._listener.bind(str(self.path))
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        self._folder.cleanup()

    def forget(self) -> None:
        """Begin a new record."""
        self.calls.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._upstream)
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, requests: bool) -> None:
        with suppress(OSError):
            while data := source.recv(_BYTES):
                if requests and (found := _REQUEST.match(data)):
                    path = _ID.sub("/containers/{id}/", found[2].decode())
                    self.calls.append(f"{found[1].decode()} {path}")
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
