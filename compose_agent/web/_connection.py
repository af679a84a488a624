"""What this server changes in cheroot's connections: deadlines, handshakes apart from accepting, answers.

cheroot gives every read and write its own timeout, so that a client that sends a byte now and then holds a
worker for ever, and does the TLS handshake in the thread that accepts, so that one silent client stops all.
Here a handshake, and the head of a request, go on by the steps that their bytes allow: a connection that
waits for its client waits in the selector and holds no thread, until the whole head is there. From then on a
worker is held by what it reads of a body and by what it writes, within the deadlines below and of _streams.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from contextlib import suppress
from typing import Any

from cheroot import wsgi
from cheroot.errors import MaxSizeExceeded
from cheroot.server import HTTPConnection, HTTPRequest

from compose_agent.deadline import Deadline
from compose_agent.web import tlscontext
from compose_agent.web._headers import Headers
from compose_agent.web._streams import PIECE_BYTES, ClientLost, Raw, Reader, Writer
from compose_agent.web.longanswer import CLIENT, AnswerCutOff

logger = logging.getLogger(__name__)

# A handshake is two round trips; a client that needs longer is stalled or hostile.
HANDSHAKE_SECONDS = 10.0
# From the first byte to the empty line: request line and headers come in one packet from every real client.
HEADER_SECONDS = 5.0
# A body of the largest size allowed at 0.5 MB/s.
BODY_SECONDS = 30.0
# For a body that the application does not want, so that the connection can be kept.
DISCARD_SECONDS = 1.0
# For a client that still sends when it is refused; after that it loses the answer.
LINGER_SECONDS = 1.0
# What a client may send in one step after it was refused, 1 MiB: others want the worker too.
_LINGER_PIECES = 16
# Where the adapter leaves, until the handshake is done, whom the configuration of its start lets in.
ALLOWED_SANS = "compose_agent.allowed_sans"
# What Go's net/http answers, so that people find the same explanation.
PLAIN_HTTP_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_PLAIN_HTTP_REASONS = {"HTTP_REQUEST", "HTTPS_PROXY_REQUEST"}
_TOO_SLOW_ANSWER = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Gateway(wsgi.Gateway_10):
    """Runs the application; an answer is sent only when the application gave one."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        """Return what the application hears of the request, and with it the client's end."""
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environ, CLIENT: self.req.conn}

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


class Request(HTTPRequest):
    """A request whose errors are logged here and never shown to the client."""

    header_reader = Headers()
    failure = ""

    def read_request_line(self) -> bool:
        """Read the request line; what Python cannot take apart (``//[``) is the client's mistake too."""
        try:
            return bool(super().read_request_line())  # type: ignore[no-untyped-call]
        except ValueError:
            self.simple_response("400 Bad Request", "Malformed Request-URI")
            return False

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
        self.conn.be_patient(0.0)
        try:
            super().respond()
        except ClientLost:
            raise
        except AnswerCutOff as error:
            logger.debug("answer cut off", extra={**self._described(), "error": str(error)})
            self.close_connection = True
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
        if msg.startswith("Absolute URI") and self.uri.startswith(b"//"):
            # A path with a slash too many, which cheroot takes for the address of another server.
            status, msg = "404 Not Found", "not found"
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
        self.conn.reading.restart(DISCARD_SECONDS)
        try:
            while self.rfile.read(PIECE_BYTES):
                pass
        except (ValueError, OSError):
            self.close_connection = self.conn.answers_early = True

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
    """A connection that holds no worker while its client is silent before or within a request's head."""

    RequestHandlerClass = Request

    def __init__(self, server: Any, sock: socket.socket, makefile: Any = None) -> None:
        self.reading = Deadline(HEADER_SECONDS)
        self.busy = False
        self.answers_early = False
        self._secured = not isinstance(sock, ssl.SSLSocket)
        self._refused = False
        # For what the client began: a handshake, a head, or to take a refusal.
        self._waiting = None if self._secured else Deadline(HANDSHAKE_SECONDS)
        self._last_used: float | None = None
        super().__init__(server, sock, self._stream)
        server.opened(self)

    @property
    def last_used(self) -> float | None:
        """When the client was last heard of, in Unix seconds; 0 when late, for cheroot to close it."""
        return 0.0 if self._is_late() else self._last_used

    @last_used.setter
    def last_used(self, seconds: float) -> None:
        self._last_used = seconds

    def communicate(self) -> bool:
        """Take one step: of the handshake, of a head, or a request and its answer; false closes."""
        if self._is_late():
            return False
        if self._refused:
            return self._let_read()
        if not self._secured:
            return self._handshake()
        return self._request() if self._is_ready() else True

    def fileno(self) -> int:
        """Return the descriptor of the client's socket."""
        return int(self.socket.fileno())

    def be_patient(self, seconds: float) -> None:
        """Wait so long, where that is more than usual, for the client to take more of this answer."""
        self.wfile.patience = seconds

    def evict(self) -> None:
        """Make room: the selector finds the connection at its end and closes it."""
        with suppress(OSError):
            # Not SSLSocket's, which would pull the TLS state from under a worker.
            socket.socket.shutdown(self.socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection, telling its client that it was too slow, or that nothing is cut off."""
        self.server.closed(self)
        with suppress(OSError):
            self.socket.settimeout(0)
            if self._is_late() and self._secured and not self._refused:
                self.socket.send(_TOO_SLOW_ANSWER)
        self._end_tls()
        super().close()

    def _stream(self, sock: socket.socket, mode: str, bufsize: int) -> Reader | Writer:
        if "r" in mode:
            return Reader(Raw(sock, self.reading), self.server.max_request_header_size, self._is_ready)
        return Writer(sock)

    def _is_late(self) -> bool:
        return self._waiting is not None and self._waiting.expired

    def _is_ready(self) -> bool:
        # Asked before the connection goes to the selector: whether a whole head is here already.
        if self._refused or not self._secured:
            return False
        ready = self.rfile.gather()
        if ready or not self.rfile.begun:
            self._waiting = None
        elif self._waiting is None:
            self._waiting = Deadline(HEADER_SECONDS)
        return bool(ready)

    def _request(self) -> bool:
        self.reading.restart(HEADER_SECONDS)
        self.remote_addr = self.remote_addr and self.remote_addr.removeprefix("::ffff:")
        if super().communicate():  # type: ignore[no-untyped-call]
            return True
        return self.answers_early and self._begin_to_let_read()

    def _handshake(self) -> bool:
        sock: ssl.SSLSocket = self.socket
        try:
            sock.settimeout(0)
            sock.do_handshake()
        except ssl.SSLWantReadError:
            return True
        except OSError as error:
            return self._refuse(sock, error)
        if not tlscontext.is_allowed(sock.getpeercert(), self.ssl_env[ALLOWED_SANS]):
            logger.info(
                "client certificate is not on client_allowed_sans", extra={"remote": self.remote_addr}
            )
            return False
        self.ssl_env = tlscontext.environ(sock)
        self._secured, self._waiting = True, None
        return True

    def _refuse(self, sock: ssl.SSLSocket, error: OSError) -> bool:
        logger.debug("TLS handshake failed", extra={"remote": self.remote_addr, "error": str(error)})
        if not isinstance(error, ssl.SSLError) or error.reason not in _PLAIN_HTTP_REASONS:
            return False
        with suppress(OSError):
            socket.socket.send(sock, PLAIN_HTTP_ANSWER)
        return self._begin_to_let_read()

    def _end_tls(self) -> None:
        if isinstance(self.socket, ssl.SSLSocket) and self._secured:
            with suppress(OSError, ValueError):
                self.socket.settimeout(0)
                self.socket.unwrap()

    def _begin_to_let_read(self) -> bool:
        # What stays unread would make the kernel reset the connection, and the client lose the answer.
        self._end_tls()
        with suppress(OSError):
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        self._refused, self._waiting = True, Deadline(LINGER_SECONDS)
        return self._let_read()

    def _let_read(self) -> bool:
        # Not SSLSocket's methods: what comes now is of no interest.
        sock = self.socket
        try:
            sock.settimeout(0)
            return all(socket.socket.recv(sock, PIECE_BYTES) for _ in range(_LINGER_PIECES))
        except BlockingIOError:
            return True
        except OSError:
            return False
