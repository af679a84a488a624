"""An HTTP server that keeps what is posted to it, and answers as it is told.

::

    with FakePosts(lambda post: Reply(204)) as fake:  # fake.port
        fake.replies = [Reply(503, headers={"Retry-After": "2"}), None]
        ...
        assert [post.body for post in fake.posts] == [...]

It listens on a loopback port, or on a unix socket, which stays behind as that of a killed process does.
"""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Post:
    """One request; header names are in lower case, the body is unpacked."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class FakePosts:
    """The server. ``replies`` go before ``answer``; None breaks the connection."""

    def __init__(
        self, answer: Callable[[Post], Reply | None] = lambda _post: Reply(), path: Path | None = None
    ) -> None:
        self.answer = answer
        self.posts: list[Post] = []
        self.replies: list[Reply | None] = []
        self._server = _Server(self) if path is None else _LocalServer(self, path)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def port(self) -> int:
        """The port that it listens on; 0 for a unix socket."""
        return self._server.server_port

    def take(self, post: Post) -> Reply | None:
        """Keep a request and return its answer; None for a broken connection."""
        self.posts.append(post)
        return self.replies.pop(0) if self.replies else self.answer(post)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, fake: FakePosts) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that break off are what it is for."""


class _LocalServer(ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False
    server_port = 0

    def __init__(self, fake: FakePosts, path: Path) -> None:
        path.unlink(missing_ok=True)
        super().__init__(str(path), _Handler)
        self.fake = fake

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing, as above."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server | _LocalServer

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): text for name, text in self.headers.items()}
        reply = self.server.fake.take(Post(self.path, headers, body))
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, text in {**reply.headers, "Content-Length": str(len(reply.body))}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""
