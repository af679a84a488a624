"""The HTTP/1.1 server on a unix socket: one thread per connection, kept alive, closed without ceremony."""

from __future__ import annotations

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.handler import HangUp, answer, headers, parse
from compose_agent.dockerd.fake.routes_control import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose_agent.dockerd.fake.core import Core
    from compose_agent.dockerd.fake.faults import Fault
    from compose_agent.dockerd.fake.wire import Request, Response

# As many as the kernel allows by default before connections are refused.
BACKLOG = 4096


class Listener:
    """A listening socket and the connections that came in by it."""

    def __init__(self, path: Path, core: Core) -> None:
        self.path = path
        self._core = core
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def start(self) -> None:
        """Listen, in place of whatever left its socket there."""
        self.path.unlink(missing_ok=True)
        self._socket.bind(str(self.path))
        self._socket.listen(BACKLOG)
        threading.Thread(target=self._accept, name="fake-engine-accept", daemon=True).start()

    def close(self) -> None:
        """Stop listening, remove the socket and close all connections."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self.path.unlink(missing_ok=True)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # Clients break connections, closing breaks them, and faults do: none of it is news.
        with connection, contextlib.suppress(HangUp, OSError, ValueError):
            _Connection(connection, self._core)
        with self._lock:
            self._connections.discard(connection)


class _Connection(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    server: Any

    def __init__(self, connection: socket.socket, core: Core) -> None:
        self._core = core
        super().__init__(connection, ("unix", 0), None)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer a request of any method."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = self._chunked_body()
        content_type = self.headers.get("Content-Type", "")
        request = parse(self._core, self.command, self.path, content_type, body)
        if request.path.startswith(PREFIX):
            self._send(request, answer(self._core, request), None)
            return
        self._core.thawed.wait()
        self._core.recorder.record(request.call)
        fault, cleared = self._core.faults.take(request.call)
        response = answer(self._core, request, fault, cleared.wait)
        self._core.thawed.wait()
        self._send(request, response, fault)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the recording knows."""

    def _chunked_body(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _send(self, request: Request, response: Response, fault: Fault | None) -> None:
        if fault is not None and fault.kind == "slow":
            self._core.closing.wait(fault.seconds)
        if response.stream is None:
            body = b"" if request.method == "HEAD" else response.body
            shown = b"".join(_limited(iter([body]), fault))
            announced = shown if fault is not None and fault.kind == "truncate" else response.body
            self._head(response, {"Content-Length": str(len(announced))} if response.status != 204 else {})
            self._body(shown, fault)
            _hang_up_if(len(shown) < len(body) and announced is not shown)
        else:
            self._stream(response, fault)

    def _head(self, response: Response, framing: dict[str, str]) -> None:
        self.send_response_only(response.status)
        for name, value in (headers(self._core, response) | framing).items():
            self.send_header(name, value)
        self.send_header("Date", self.date_time_string())
        self.end_headers()

    def _body(self, body: bytes, fault: Fault | None) -> None:
        if fault is None or fault.kind != "slow-body":
            self.wfile.write(body)
            return
        for position in range(len(body)):
            self._core.closing.wait(fault.seconds)
            self.wfile.write(body[position : position + 1])

    def _stream(self, response: Response, fault: Fault | None) -> None:
        stream = response.stream
        assert stream is not None  # noqa: S101
        framing = {"Transfer-Encoding": "chunked"}
        late = fault is not None and fault.kind == "late"
        try:
            if fault is not None and late:
                self._head(response, framing)
                self._core.closing.wait(fault.seconds)
            # The first step makes the stream listen: nothing is missed after the head.
            first = next(stream, None)
            if not late:
                self._head(response, framing)
            self._chunk(first, fault)
            for chunk in _limited(stream, fault):
                self._core.thawed.wait()
                self._chunk(chunk, fault)
            _hang_up_if(fault is not None and fault.kind == "reset-body")
            self.wfile.write(b"0\r\n\r\n")
        finally:
            stream.close()

    def _chunk(self, chunk: bytes | None, fault: Fault | None) -> None:
        if chunk:
            self.wfile.write(b"%x\r\n" % len(chunk))
            self._body(chunk, fault)
            self.wfile.write(b"\r\n")
        elif self._client_is_gone():
            raise HangUp

    def _client_is_gone(self) -> bool:
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False


def _limited(chunks: Iterator[bytes], fault: Fault | None) -> Iterator[bytes]:
    """Pass chunks on, up to the length at which the fault cuts the body."""
    if fault is None or fault.kind not in ("reset-body", "truncate"):
        yield from chunks
        return
    left = fault.after
    for chunk in chunks:
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            return


def _hang_up_if(condition: bool) -> None:
    if condition:
        raise HangUp
