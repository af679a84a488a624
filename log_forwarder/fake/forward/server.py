"""The counting server: connections, counts and faults."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from log_forwarder.fake.forward.wire import Chunk, HandshakeFailed, Session, Unpacked, chunks, unpacked

_READ_BYTES = 256 * 1024
_BACKLOG = 128
OnEvent = Callable[[str, int, Any], None]


@dataclass(slots=True)
class Tally:
    """What a server has seen since it was made."""

    connections: int = 0
    chunks: int = 0
    events: int = 0
    bytes: int = 0
    acks: int = 0
    refused_logins: int = 0
    broken: int = 0


class Faults:
    """What goes wrong from now on; everything may be set at any time by any thread.

    The connection dies at each chunk with ``poison`` in one of its records, which is not stored.
    """

    def __init__(self) -> None:
        self.poison = ""
        self.hang = False
        self.late_seconds = 0.0
        self.refusal = ""
        self._deaths = 0
        self._stored = True
        self._lock = threading.Lock()

    def die_mid_ack(self, times: int = 1, *, stored: bool = True) -> None:
        """Close the connection after each of the next chunks, without an ack; ``stored``: but count it."""
        with self._lock:
            self._deaths, self._stored = times, stored

    def take_death(self) -> tuple[bool, bool]:
        """Return whether the connection dies with the present chunk, and whether that is counted."""
        with self._lock:
            if self._deaths == 0:
                return False, True
            self._deaths -= 1
            return True, self._stored


class ForwardServer:
    """Serves on loopback until ``stop``, each connection in a thread of its own.

    ``on_event`` is called under a lock, in the order of arrival, with the tag, the time in nanoseconds and
    the record. ``users`` maps names to passwords and needs a ``shared_key``.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        on_event: OnEvent | None = None,
        shared_key: str | None = None,
        users: Mapping[str, str] | None = None,
        hostname: str = "fake-forward-server",
        tls: ssl.SSLContext | None = None,
        family: socket.AddressFamily = socket.AF_INET,
        unix_path: Path | None = None,
    ) -> None:
        self.port = port
        self.faults = Faults()
        self._on_event = on_event
        self._shared_key = shared_key
        self._users = users
        self._hostname = hostname
        self._tls = tls
        self._family = socket.AF_UNIX if unix_path else family
        self._unix_path = unix_path
        self._tally = Tally()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Listen, on the port of before if it was stopped."""
        listener = socket.socket(self._family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._unix_path is not None:
            self._unix_path.unlink(missing_ok=True)
            listener.bind(str(self._unix_path))
        else:
            listener.bind(("::1" if self._family == socket.AF_INET6 else "127.0.0.1", self.port))
            self.port = listener.getsockname()[1]
        listener.listen(_BACKLOG)
        self._listener = listener
        self._closed.clear()
        threading.Thread(target=self._accept, args=(listener,), name="forward-accept", daemon=True).start()

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self._closed.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
        self.drop_connections()

    def drop_connections(self) -> None:
        """Close every connection that is open now."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            _end(connection)

    def tally(self) -> Tally:
        """Return a consistent copy of the counts."""
        with self._lock:
            return replace(self._tally)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
                self._tally.connections += 1
            if self._closed.is_set():
                _end(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        connection = plain
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(plain, server_side=True)
                with self._lock:
                    self._connections.add(connection)
            self._talk(connection)
        except HandshakeFailed:
            with self._lock:
                self._tally.refused_logins += 1
        except (OSError, ValueError):
            # Clients break connections and send what is no message; both are counted, neither is news.
            with self._lock:
                self._tally.broken += 1
        finally:
            with self._lock:
                self._connections -= {plain, connection}
            _end(connection)
            connection.close()

    def _talk(self, connection: socket.socket) -> None:
        session = Session(connection, _READ_BYTES)
        if self._shared_key is not None:
            session.log_in(self._hostname, self._shared_key, self._users, self.faults.refusal)
        for message in session.messages():
            for chunk in chunks(message):
                if not self._take(connection, chunk):
                    return

    def _take(self, connection: socket.socket, chunk: Chunk) -> bool:
        """Store a chunk and acknowledge it; False ends the connection."""
        if self.faults.poison and any(self.faults.poison in str(record) for _, record in unpacked(chunk)):
            return False
        dies, stored = self.faults.take_death()
        if stored:
            self._store(chunk)
        if dies:
            return False
        if chunk.ack and not self.faults.hang:
            if self.faults.late_seconds:
                timer = threading.Timer(self.faults.late_seconds, self._acknowledge, (connection, chunk.ack))
                timer.daemon = True
                timer.start()
            else:
                self._acknowledge(connection, chunk.ack)
        return True

    def _store(self, chunk: Chunk) -> None:
        entries: Unpacked | None = None
        if self._on_event is not None or chunk.size is None:
            entries = unpacked(chunk)
        with self._lock:
            self._tally.chunks += 1
            self._tally.bytes += len(chunk.body)
            self._tally.events += (chunk.size or 0) if entries is None else len(entries)
            if self._on_event is not None:
                for time_ns, record in entries or ():
                    self._on_event(chunk.tag, time_ns, record)

    def _acknowledge(self, connection: socket.socket, ack: bytes) -> None:
        with self._lock:  # before it is sent, so that a client that has it finds it counted
            self._tally.acks += 1
        with contextlib.suppress(OSError):  # the client may be gone, above all when the ack is late
            connection.sendall(ack)


def server_context(cert: Path, key: Path | None = None, client_ca: Path | None = None) -> ssl.SSLContext:
    """Return a context for ``tls``; with ``client_ca`` clients must have a certificate of that authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
