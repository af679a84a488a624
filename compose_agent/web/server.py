"""The HTTP server of every role: cheroot on a TCP address or a unix socket, with or without TLS."""

from __future__ import annotations

import errno
import logging
import resource
import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from cheroot import wsgi
from cheroot.errors import FatalSSLAlert
from cheroot.ssl import Adapter

from compose_agent.address import Address, UnixAddress
from compose_agent.errors import ListenError
from compose_agent.web import _connection
from compose_agent.web.listen import BACKLOG, listen_tcp, listen_unix, unlink_if_same
from compose_agent.web.wsgi import WebConfigMiddleware

if TYPE_CHECKING:
    import ssl
    from types import TracebackType
    from wsgiref.types import WSGIApplication

    from compose_agent.web.webfile import WebConfigFile

logger = logging.getLogger(__name__)

# Longer than a scrape interval of a minute, so that Prometheus keeps its connection.
IDLE_SECONDS = 75
# How often idle and late connections are looked at: a wake-up each time.
IDLE_CHECK_SECONDS = 2.0
# A request that began is given this long when the server stops.
STOP_SECONDS = 5.0
# Above that a stop gives up on an application that does not return.
_STOP_GRACE_SECONDS = 1.0
# Threads are started one after the other; a machine under full load may need a while.
_START_SECONDS = 30.0
# Half of the descriptors at most are clients'; the rest is for the work itself.
_MOST_CONNECTIONS = 2048
_NO_DESCRIPTORS_PAUSE_SECONDS = 0.5
_REACHED_AT = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Limits:
    """What one listener spends on its clients.

    ``threads`` answer requests whose head is there; one is held while a body comes or an answer is taken,
    for the bounded times of _connection and _streams. Header and body in bytes.
    """

    threads: int = 16
    header_bytes: int = 64 * 1024
    # A notification of Alertmanager with thousands of alerts is some MB.
    body_bytes: int = 16 * 1024 * 1024


class WebServer:
    """Serve a WSGI application on one address.

    ``web`` adds TLS, users, headers and rate limit. The steps are apart, so that a reload can bind what is
    new before it closes what is old: ``bind`` → ``start`` → ``stop``.
    """

    def __init__(
        self,
        address: Address | UnixAddress,
        app: WSGIApplication,
        *,
        web: WebConfigFile | None = None,
        limits: Limits = Limits(),
    ) -> None:
        self.address = address
        self._app = WebConfigMiddleware(app, web)
        self._web = web
        self._limits = limits
        self._http: _HttpServer | None = None
        self._inode = 0

    @property
    def url(self) -> str:
        """Return where clients on this host find the server."""
        if isinstance(self.address, UnixAddress):
            return str(self.address)
        scheme = "https" if self._web and self._web.current().context else "http"
        host = _REACHED_AT.get(self.address.host, self.address.host)
        return f"{scheme}://{Address(host, self.address.port)}"

    def bind(self) -> Address | UnixAddress:
        """Open the listening socket and return its address, with the real port when port 0 was asked for.

        Clients can connect from now on; they are answered after ``start``. Raises ListenError, or
        InstanceRunning for a unix socket on which another process listens.
        """
        if isinstance(self.address, UnixAddress):
            listener = listen_unix(self.address)
            self._inode = self.address.path.lstat().st_ino
        else:
            listener = listen_tcp(self.address)
            self.address = Address(self.address.host, listener.getsockname()[1])
        tls = _TlsAdapter(self._web) if self._web and self._web.current().context else None
        self._http = _HttpServer(listener, self._app, self._limits, tls)
        return self.address

    def start(self) -> None:
        """Answer requests, in threads of its own."""
        if self._http is None:
            self.bind()
        assert self._http is not None  # noqa: S101  # bound above
        ready = threading.Event()
        thread = threading.Thread(
            target=self._http.run, args=(ready,), name=f"web {self.address}", daemon=True
        )
        thread.start()
        if not ready.wait(_START_SECONDS):
            raise ListenError(f"the server for {self.address} did not start within {_START_SECONDS:g} s")
        logger.info("listening", extra={"address": str(self.address)})

    def stop(self, timeout: float = STOP_SECONDS) -> bool:
        """Close the listener, let requests that began finish within ``timeout`` seconds, and close the rest.

        Returns false when the application was still busy with a request then.
        """
        http, self._http = self._http, None
        if http is None:
            return True
        if isinstance(self.address, UnixAddress):
            unlink_if_same(self.address.path, self._inode)
        http.shutdown_timeout = timeout
        stopper = threading.Thread(target=http.stop, name=f"stop {self.address}", daemon=True)
        stopper.start()
        stopper.join(timeout + _STOP_GRACE_SECONDS)
        if stopper.is_alive():
            logger.warning("a request is still running after the stop", extra={"address": str(self.address)})
        return not stopper.is_alive()

    def __enter__(self) -> Self:
        self.bind()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class _TlsAdapter(Adapter):
    """Wraps accepted sockets, with the certificate of the moment; the handshake is the connection's."""

    def __init__(self, web: WebConfigFile) -> None:
        self._web = web

    def bind(self, sock: socket.socket) -> socket.socket:
        return sock

    def wrap(self, sock: socket.socket) -> tuple[ssl.SSLSocket, dict[str, object]]:
        loaded = self._web.current()
        # A web configuration keeps TLS while it is in use.
        assert loaded.context is not None  # noqa: S101
        assert loaded.config.tls is not None  # noqa: S101
        variables: dict[str, object] = {_connection.ALLOWED_SANS: loaded.config.tls.allowed_sans}
        try:
            return loaded.context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            ), variables
        except OSError as error:
            raise FatalSSLAlert(str(error)) from error  # gone before it was accepted

    def get_environ(self) -> dict[str, str]:
        return {}

    def makefile(self, sock: socket.socket, mode: str = "r", bufsize: int = -1) -> None:
        """Make nothing: connections have streams of their own."""


class _HttpServer(wsgi.Server):
    """cheroot's server on a socket that is listening already."""

    ConnectionClass = _connection.Connection
    expiration_interval = IDLE_CHECK_SECONDS
    # Idle connections are bounded together with all others, below.
    keep_alive_conn_limit: Any = None
    # Made by prepare().
    _connections: Any

    def __init__(
        self, listener: socket.socket, app: WSGIApplication, limits: Limits, tls: _TlsAdapter | None
    ) -> None:
        unix = listener.family == socket.AF_UNIX
        name = listener.getsockname()
        super().__init__(
            name if unix else name[:2],
            app,
            numthreads=limits.threads,
            server_name="compose-agent",
            request_queue_size=BACKLOG,
            timeout=IDLE_SECONDS,
            peercreds_enabled=unix,
        )
        self.gateway = _connection.Gateway
        self.ssl_adapter = tls
        self.max_request_header_size = limits.header_bytes
        self.max_request_body_size = limits.body_bytes
        self._listener = listener
        self._stopping = threading.Event()
        self._open: set[_connection.Connection] = set()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_connections = min(_MOST_CONNECTIONS, max(descriptors // 2, 1))

    def run(self, ready: threading.Event) -> None:
        self.prepare()
        # The selector says when there is a client; waiting here, as cheroot does, would only delay a stop.
        self._listener.settimeout(0)
        ready.set()
        self.serve()

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:
        self.socket = self._listener
        return self._listener

    def bind_unix_socket(self, bind_addr: str) -> socket.socket:
        self.socket = self._listener
        return self._listener

    def process_conn(self, conn: _connection.Connection) -> None:
        if conn.last_used is None:
            # Fresh: it waits in the selector for its first head, instead of in a worker.
            self._make_room()
            self._connections.put(conn)
        else:
            conn.busy = True
            super().process_conn(conn)

    def put_conn(self, conn: _connection.Connection) -> None:
        conn.busy = False
        super().put_conn(conn)

    def opened(self, conn: _connection.Connection) -> None:
        self._open.add(conn)

    def closed(self, conn: _connection.Connection) -> None:
        self._open.discard(conn)

    def stop(self) -> None:
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the selector
        super().stop()
        self._listener.close()
        # cheroot keeps a server's figures, and with them the server, for the life of the process.
        getattr(logging, "statistics", {}).pop(f"Cheroot HTTPServer {id(self)}", None)

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        if self._stopping.is_set() and level < logging.CRITICAL:
            return
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
            logger.error(
                "no file descriptors left for new connections", extra={"address": str(self.bind_addr)}
            )
            # cheroot would try again at once, and for ever.
            self._stopping.wait(_NO_DESCRIPTORS_PAUSE_SECONDS)
            return
        # Below a warning it is about clients that went away.
        logger.log(level if level >= logging.WARNING else logging.DEBUG, msg, exc_info=traceback)

    def _make_room(self) -> None:
        if len(self._open) <= self._most_connections:
            return
        idle = [conn for conn in list(self._open) if not conn.busy and conn.last_used is not None]
        if idle:
            min(idle, key=lambda conn: conn.last_used or 0.0).evict()
