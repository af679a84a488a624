"""How requests get to an Engine.

The ``docker`` library's own adapter for unix sockets pools by full URL in an LRU of 25, so that each inspect
of a 26th container opens a connection, and its timeout restarts with every byte that arrives. Here unix
sockets have a single pool, and a timeout on a socket is a deadline for the whole answer; and neither that
library nor ``requests`` is loaded. TCP and SSH are left to the library.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from compose_agent.deadline import connect_unix
from compose_agent.dockerd.answer import Answer, plain_errors
from compose_agent.errors import EngineUnreachable

if TYPE_CHECKING:
    from compose_agent.dockerd.endpoint import Endpoint

# Any that the library takes: requests name their own.
_LIBRARY_VERSION = "1.41"


class Transport(Protocol):
    """Sends requests in several threads at once."""

    def send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """Return the answer as soon as its head is there; raises OSError, TimeoutError, ValueError.

        ``target`` is path and query, ``timeout`` the seconds for all of the answer, or as near to that as the
        transport can come.
        """

    def close(self) -> None:
        """Close every connection for good."""


def transport(endpoint: Endpoint, timeout: float, connections: int) -> Transport:
    """Return the transport to an Engine that keeps at most ``connections``; nothing is sent yet.

    ``timeout`` is that of what the library sends by itself. EngineUnreachable for an address that is none.
    """
    if endpoint.socket_path:
        return UnixTransport(str(endpoint.socket_path), connections)
    return LibraryTransport(endpoint, timeout)


class UnixTransport:
    """Requests to the socket at ``path``."""

    def __init__(self, path: str, connections: int) -> None:
        self._pool = _Pool(path, connections)

    def send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """Send a request and return its answer; see :class:`Transport`."""
        with plain_errors():
            raw = self._pool.urlopen(
                method,
                target,
                body=body,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                assert_same_host=False,
                preload_content=False,
            )
        return Answer(raw, target)

    def close(self) -> None:
        """Close every connection; calls that wait for an answer end with an error."""
        self._pool.abort()


class LibraryTransport:
    """Requests by the ``docker`` library, over TCP or SSH; a timeout begins anew with whatever arrives."""

    def __init__(self, endpoint: Endpoint, timeout: float) -> None:
        import docker  # noqa: PLC0415 - only where the Engine is reached by TCP or SSH

        try:
            # With a version, because without one the library would ask for it.
            self._client = docker.APIClient(
                base_url=endpoint.host, version=_LIBRARY_VERSION, timeout=timeout, tls=endpoint.tls or False
            )
        except docker.errors.DockerException as error:
            raise EngineUnreachable(f"no way to the Engine at {endpoint.host} ({error})") from error

    def send(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str], timeout: float
    ) -> Answer:
        """Send a request and return its answer; see :class:`Transport`."""
        with plain_errors():
            response = self._client.request(
                method,
                f"{self._client.base_url}{target}",
                data=body,
                headers=headers,
                timeout=timeout,
                stream=True,
                allow_redirects=False,
            )
        return Answer(response.raw, target)

    def close(self) -> None:
        """Close every connection that waits for a request; an answer under way comes, or is late."""
        self._client.close()


class _Connection(HTTPConnection):
    # Never used for another request: somebody in another thread may end it at any moment.
    for_one = False
    # Also after http.client has let go of it, while an answer is read that is the last.
    opened: socket.socket | None = None

    def __init__(self, path: str, **kwargs: Any) -> None:
        super().__init__("localhost", **kwargs)
        self._path = path

    def connect(self) -> None:
        timeout = self.timeout
        self.opened = connect_unix(self._path, timeout if isinstance(timeout, int | float) else None)
        self.sock = self.opened


class _Pool(HTTPConnectionPool):
    def __init__(self, path: str, size: int) -> None:
        super().__init__("localhost", maxsize=size)
        self._path = path
        self._made: WeakSet[_Connection] = WeakSet()

    def _new_conn(self) -> Any:
        connection = _Connection(self._path)
        self._made.add(connection)
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and conn.for_one:
            conn.close()
            conn = None  # its place
        super()._put_conn(conn)

    def abort(self) -> None:
        """Close every connection, also those on which an answer is waited for."""
        for connection in list(self._made):
            if connection.opened is not None:
                with suppress(OSError):
                    connection.opened.shutdown(socket.SHUT_RDWR)
        self.close()
