"""Requests over a unix socket, which keep connections and their deadlines.

The ``docker`` library's own adapter pools by full URL in an LRU of 25, so that each inspect of a 26th
container opens a connection, and its timeout restarts with every byte that arrives. This one has a single
pool, and a timeout on a socket is a deadline for the whole answer. Nor does it load that library.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

from compose_agent.deadline import connect_unix


class _Connection(HTTPConnection):
    # Never used for another request: somebody in another thread may end it at any moment.
    for_one = False

    def __init__(self, path: str, **kwargs: Any) -> None:
        super().__init__("localhost", **kwargs)
        self._path = path

    def connect(self) -> None:
        timeout = self.timeout
        self.sock = connect_unix(self._path, timeout if isinstance(timeout, int | float) else None)


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
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)
        self.close()


class UnixSession(requests.Session):
    """A session of which every request goes to the socket at ``path``; at most ``connections`` are kept."""

    url = "http://localhost"

    def __init__(self, path: str, connections: int) -> None:
        super().__init__()
        self.trust_env = False  # no proxy and no .netrc on a unix socket
        self.mount("http://", _Adapter(path, connections))


class _Adapter(HTTPAdapter):
    def __init__(self, path: str, pool_size: int) -> None:
        self._pool = _Pool(path, pool_size)
        super().__init__()

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> urllib3.HTTPConnectionPool:
        """Return the one pool, whatever the URL."""
        return self._pool

    def request_url(self, request: Any, proxies: Any) -> str:
        """Return the path alone: there is no host and no proxy on a unix socket."""
        return str(request.path_url)

    def close(self) -> None:
        """Close every connection; calls that wait for an answer end with an error."""
        self._pool.abort()
