"""What this server changes in cheroot's connections: deadlines, handshakes apart from accepting, answers.

cheroot gives every read and write its own timeout, so that a client that sends a byte now and then holds a
worker for ever, and does the TLS handshake in the thread that accepts, so that one silent client stops all.
Here reads and writes share a deadline, and a handshake goes on by the steps that its bytes allow: a
connection that waits for its client waits in the selector and holds no thread.
"""

from __future__ import annotations

import errno
import io
import logging
import socket
import ssl
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.server import HeaderReader, HTTPConnection, HTTPRequest

from compose_agent.web import tlscontext
from compose_agent.web.deadline import Deadline

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

logger = logging.getLogger(__name__)

# A handshake is two round trips; a client that needs longer is stalled or hostile.
HANDSHAKE_SECONDS = 10.0
# Request line and headers come in one packet from every real client.
HEADER_SECONDS = 10.0
# A body of the largest size allowed at 0.5 MB/s.
BODY_SECONDS = 30.0
# For each piece that the application gives; a slow reader would hold a worker.
WRITE_SECONDS = 30.0
# For a client that still sends when it is refused; after that it loses the answer.
LINGER_SECONDS = 1.0
# Where the adapter leaves, until the handshake is done, whom the configuration of its start lets in.
ALLOWED_SANS = "compose_agent.allowed_sans"
_PIECE_BYTES = 64 * 1024
# What Go's net/http answers, so that people find the same explanation.
PLAIN_HTTP_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_PLAIN_HTTP_REASONS = {"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"}


class ClientLost(OSError):
    """The client is gone or too slow; apart from the application's own OSErrors.

    The first argument is what cheroot looks at: an errno, or "timed out".
    """


def _lost(error: OSError) -> ClientLost:
    if isinstance(error, TimeoutError):
        return ClientLost("timed out")
    return ClientLost(errno.ECONNRESET, str(error))


class _Raw(io.RawIOBase):
    """A socket's bytes within a deadline, or without waiting at all."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline
        self.secured = not isinstance(sock, ssl.SSLSocket)
        self.waits = True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        try:
            self._sock.settimeout(self._deadline.remaining() if self.waits else 0)
            return self._sock.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except OSError as error:
            raise _lost(error) from error


class Reader(io.BufferedReader):
    """What cheroot reads requests from."""

    raw: _Raw
    # cheroot's statistics, which are off, would read it.
    bytes_read = 0

    def has_data(self) -> bool:
        """Tell whether a worker would find something to read, also in what TLS has decrypted already."""
        if not self.raw.secured:
            return False
        self.raw.waits = False
        try:
            return bool(self.peek(1))
        except OSError:
            return True  # the worker meets the same error, and closes
        finally:
            self.raw.waits = True


class Writer:
    """What cheroot writes answers to: each piece goes out whole within a deadline."""

    bytes_written = 0
    closed = False

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock = sock
        self._deadline = deadline

    def write(self, piece: ReadableBuffer) -> int:
        """Send all of ``piece``; ClientLost when the client does not take it in time."""
        view = memoryview(piece)
        self._deadline.restart(WRITE_SECONDS)
        try:
            while view:
                self._sock.settimeout(self._deadline.remaining())
                view = view[self._sock.send(view) :]
        except OSError as error:
            raise _lost(error) from error
        return memoryview(piece).nbytes

    def close(self) -> None:
        """Leave the socket to the connection."""


class Gateway(wsgi.Gateway_10):
    """Runs the application; an answer is sent only when the application gave one."""

    def respond(self) -> None:
        """Answer the request."""
        response = self.req.server.wsgi_app(self.env, self.start_response)
        try:
            for piece in filter(None, response):
                if self.req.method != b"HEAD":
                    self.write(piece)
        finally:
            if hasattr(response, "close"):
                response.close()
        if not self.started_response:
            raise RuntimeError("the application returned without an answer")
        self.req.ensure_headers_sent()


class _Headers(HeaderReader):
    """Leaves out names with underscores, which WSGI cannot tell from those with hyphens."""

    def _allow_header(self, key_name: bytes) -> bool:
        return b"_" not in key_name


class Request(HTTPRequest):
    """A request whose errors are logged here and never shown to the client."""

    header_reader = _Headers()
    failure = ""

    def read_request_headers(self) -> bool:
        """Read the headers, refusing what different readers would understand differently (RFC 9112, 6.3)."""
        if not super().read_request_headers():  # type: ignore[no-untyped-call]
            return False
        length = self.inheaders.get(b"Content-Length", b"0")
        if not length.isdigit() or (self.chunked_read and b"Content-Length" in self.inheaders):
            self.simple_response("400 Bad Request", "Malformed Content-Length Header.")
            return False
        return True

    def respond(self) -> None:
        """Answer, and log how it went."""
        started = time.monotonic()
        self.conn.reading.restart(BODY_SECONDS)
        try:
            super().respond()
        except ClientLost:
            raise
        except Exception as error:  # the outermost frame: whatever the application raises ends here
            if _is_too_large(error):
                self._fail("413 Request Entity Too Large")
            else:
                logger.exception("request failed", extra=self._described())
                self._fail("500 Internal Server Error")
        finally:
            if logger.isEnabledFor(logging.DEBUG):
                seconds = round(time.monotonic() - started, 6)
                fields = {"status": self._sent_status(), "seconds": seconds}
                logger.debug("request", extra={**self._described(), **fields})

    def simple_response(self, status: str, msg: str = "") -> None:
        """Answer without the application, and close: where the next request would begin is not known."""
        self.close_connection = True
        self.conn.answers_early = True
        body = f"{msg}\n" if msg else ""
        head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
        with suppress(ClientLost):
            self.conn.wfile.write(f"{head}Connection: close\r\n\r\n{body}".encode("latin-1", "replace"))

    def send_headers(self) -> None:
        """Send the answer's headers, after the rest of a body that the application has not read."""
        if not self.close_connection:
            self._discard_body()
        super().send_headers()

    def _discard_body(self) -> None:
        # In pieces, as cheroot would take the whole of it into memory, or take a chunked one for a request.
        try:
            while self.rfile.read(_PIECE_BYTES):
                pass
        except ClientLost:
            raise
        except (ValueError, OSError):
            self.close_connection = True

    def _fail(self, status: str) -> None:
        if not self.sent_headers:
            self.failure = status
            self.simple_response(status, status[4:])
        self.close_connection = True

    def _sent_status(self) -> str:
        # An application's status is bytes by the time it is here.
        status: Any = self.failure or self.status
        return (status if isinstance(status, str) else status.decode("latin-1"))[:3]

    def _described(self) -> dict[str, str]:
        return {
            "method": self.method.decode("latin-1"),
            "path": self.path.decode("utf-8", "replace"),
            "remote": self.conn.remote_addr or "unix",
        }


def _is_too_large(error: Exception) -> bool:
    # cheroot has an exception for what it counts itself, and this for bodies in chunks.
    return isinstance(error, MaxSizeExceeded) or error.args == ("Request Entity Too Large",)


class Connection(HTTPConnection):
    """A connection that never holds a worker while its client is silent."""

    RequestHandlerClass = Request

    def __init__(self, server: Any, sock: socket.socket, makefile: Any = None) -> None:
        self.reading = Deadline(HEADER_SECONDS)
        self.busy = False
        self.answers_early = False
        self._raw = _Raw(sock, self.reading)
        self._handshake_deadline = Deadline(HANDSHAKE_SECONDS)
        super().__init__(server, sock, self._stream)
        server.opened(self)

    def communicate(self) -> bool:
        """Take one step: of the handshake, or a request and its answer; false closes the connection."""
        if not self._raw.secured:
            return self._handshake()
        self.reading.restart(HEADER_SECONDS)
        self.remote_addr = self.remote_addr and self.remote_addr.removeprefix("::ffff:")
        return bool(super().communicate())  # type: ignore[no-untyped-call]

    def evict(self) -> None:
        """Make room: the selector finds the connection at its end and closes it."""
        with suppress(OSError):
            # Not SSLSocket's, which would pull the TLS state from under a worker.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, telling a TLS client that nothing is cut off."""
        self.server.closed(self)
        if isinstance(self.socket, ssl.SSLSocket) and self._raw.secured:
            with suppress(OSError, ValueError):
                self.socket.settimeout(0)
                self.socket.unwrap()
        if self.answers_early:
            self._let_read()
        super().close()

    def _stream(self, sock: socket.socket, mode: str, bufsize: int) -> Reader | Writer:
        if "r" in mode:
            return Reader(self._raw, bufsize)
        return Writer(sock, Deadline(WRITE_SECONDS))

    def _handshake(self) -> bool:
        sock: ssl.SSLSocket = self.socket
        try:
            self._handshake_deadline.remaining()
            sock.settimeout(0)
            sock.do_handshake()
        except ssl.SSLWantReadError:
            return True
        except OSError as error:
            self._refuse(sock, error)
            return False
        if not tlscontext.is_allowed(sock.getpeercert(), self.ssl_env[ALLOWED_SANS]):
            logger.info(
                "client certificate is not on client_allowed_sans", extra={"remote": self.remote_addr}
            )
            return False
        self.ssl_env = tlscontext.environ(sock)
        self._raw.secured = True
        return True

    def _refuse(self, sock: ssl.SSLSocket, error: OSError) -> None:
        logger.debug("TLS handshake failed", extra={"remote": self.remote_addr, "error": str(error)})
        if isinstance(error, ssl.SSLError) and error.reason in _PLAIN_HTTP_REASONS:
            self.answers_early = True
            with suppress(OSError):
                socket.socket.send(sock, PLAIN_HTTP_ANSWER)

    def _let_read(self) -> None:
        # What stays unread would make the kernel reset the connection, and the client lose the answer. Not
        # SSLSocket's methods: what comes now is of no interest.
        sock, deadline = self.socket, Deadline(LINGER_SECONDS)
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_WR)
            while True:
                sock.settimeout(deadline.remaining())
                if not socket.socket.recv(sock, _PIECE_BYTES):
                    return
