"""One connection over TCP, TLS or a unix socket, with a deadline on everything."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from compose_agent.address import Address
from log_forwarder.sinks.contract import LinkEnded, SinkUnavailable
from log_forwarder.sinks.servers import Server
from log_forwarder.sinks.tls import TlsOptions

# Connection and TLS handshake together; a server across an ocean takes less than a second.
CONNECT_SECONDS = 10.0
# One of several addresses of a name may be unreachable (IPv6 in half-configured networks): then the next one.
ADDRESS_SECONDS = 4.0
# What is sent at once has a few megabytes: 4 MB over a line of 2 Mbit/s take 16 s. A server that takes
# nothing for longer hangs.
SEND_SECONDS = 30.0
_READ_BYTES = 64 * 1024
_HINTS = {
    False: "check the address, and set tls=1 if this port speaks TLS",
    True: "look at the server's log, it may want cert= and key=",
}
# What recv and send raise when the other end is gone …
_ENDED = (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
# … and when there is nothing to do for them at the moment.
_NOT_NOW = (TimeoutError, BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Wire:
    """An open connection; every failure is a SinkUnavailable that names the server.

    ``hint`` is what a person can do when the other end breaks it off.
    """

    def __init__(self, server: Server, connected: socket.socket) -> None:
        self.server = server
        self.hint = _HINTS[isinstance(connected, ssl.SSLSocket)]
        self._socket = connected

    @classmethod
    def open(cls, server: Server, tls: TlsOptions | None, seconds: float = CONNECT_SECONDS) -> Self:
        """Connect within ``seconds``, beside the time that the system's resolver takes by its own limits."""
        deadline = time.monotonic() + seconds
        with _named(server):
            connected = _connected(server, deadline)
        try:
            connected.settimeout(_left(deadline))
            if tls is not None and isinstance(server, Address):
                with _named(server):
                    connected = tls.context().wrap_socket(
                        connected, server_hostname=tls.server_name or server.host
                    )
        except BaseException:
            connected.close()
            raise
        return cls(server, connected)

    def send(self, data: bytes, seconds: float = SEND_SECONDS) -> None:
        """Send everything within ``seconds``."""
        deadline = time.monotonic() + seconds
        rest = memoryview(data)
        with _named(self.server, self.hint):
            while rest:
                self._socket.settimeout(_left(deadline))
                try:
                    sent = self._socket.send(rest)
                except TimeoutError as error:
                    raise SinkUnavailable(
                        f"{self.server} took no data for too long ({seconds:g} s)",
                        remedy="look at the server's load and buffers",
                    ) from error
                rest = rest[sent:]

    def receive(self, wait: float) -> bytes:
        """Return what has come, waiting up to ``wait`` seconds for the first bytes; nothing if none came."""
        with _named(self.server, self.hint):
            self._socket.settimeout(max(0.0, wait))
            try:
                data = self._socket.recv(_READ_BYTES)
            except _NOT_NOW:
                return b""
        if not data:
            raise LinkEnded(f"{self.server} closed the connection", remedy=self.hint)
        return data

    def close(self) -> None:
        """Close the connection, whatever its state."""
        with contextlib.suppress(OSError):
            self._socket.close()


def _connected(server: Server, deadline: float) -> socket.socket:
    if not isinstance(server, Address):
        return _connect(socket.AF_UNIX, str(server.path), deadline)
    failure: OSError = OSError("the name has no address")
    for family, *_, target in socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM):
        if time.monotonic() >= deadline:
            break
        try:
            connected = _connect(family, target, deadline)
        except OSError as error:
            failure = error
        else:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            return connected
    raise failure


def _connect(family: int, target: Any, deadline: float) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(min(ADDRESS_SECONDS, _left(deadline)))
        opened.connect(target)
    except BaseException:
        opened.close()
        raise
    return opened


def _left(deadline: float) -> float:
    # Never 0, which would mean a socket that does not block.
    return max(0.001, deadline - time.monotonic())


@contextmanager
def _named(server: Server, hint: str = "") -> Iterator[None]:
    """Turn what the network raises into one sentence about this server; ``hint`` if it was connected."""
    try:
        yield
    except ssl.SSLCertVerificationError as error:
        raise SinkUnavailable(
            f"the certificate of {server} is not trusted ({error.verify_message.rstrip('.')})",
            remedy="name its authority with ca=, or the name in the certificate with server-name=",
        ) from error
    except ssl.SSLError as error:
        raise (_ended(server, error, hint) or _tls_failure(server, error)) from error
    except TimeoutError as error:
        raise SinkUnavailable(
            f"{server} does not answer", remedy="check the address and firewalls"
        ) from error
    except OSError as error:
        unreachable = SinkUnavailable(
            f"{server} cannot be reached ({error.strerror or error})",
            remedy="check that it runs, and the address",
        )
        raise (_ended(server, error, hint) or unreachable) from error
    except ValueError as error:  # of a name with a label that is empty or too long
        raise SinkUnavailable(
            f"{server} has a name that cannot be looked up", remedy="check the address and server-name="
        ) from error


def _ended(server: Server, error: OSError, hint: str) -> LinkEnded | None:
    """Return the failure for a connection that was there; a network that is down does not end it."""
    if not hint or not isinstance(error, _ENDED):
        return None
    return LinkEnded(f"{server} broke the connection ({error.strerror or error})", remedy=hint)


def _tls_failure(server: Server, error: ssl.SSLError) -> SinkUnavailable:
    reason = error.reason or str(error)
    if reason == "WRONG_VERSION_NUMBER":
        return SinkUnavailable(f"{server} does not speak TLS", remedy="leave out tls=1, or check the port")
    if "CERTIFICATE" in reason or "UNKNOWN_CA" in reason:
        return SinkUnavailable(
            f"{server} refuses our certificate ({reason})",
            remedy="check cert= and key=, and the server's authority",
        )
    return SinkUnavailable(f"TLS with {server} failed ({reason})", remedy="check the server's TLS settings")
