"""Bytes to and from a server, as they are on the wire."""

from __future__ import annotations

import socket
from contextlib import closing
from typing import TYPE_CHECKING

from compose_agent.address import Address

if TYPE_CHECKING:
    from compose_agent.web.server import WebServer


def connect(server: WebServer) -> socket.socket:
    assert isinstance(server.address, Address)
    return socket.create_connection(("127.0.0.1", server.address.port), timeout=10)


def read_all(sock: socket.socket) -> bytes:
    return b"".join(iter(lambda: sock.recv(65536), b""))


def exchange(server: WebServer, request: bytes) -> bytes:
    with closing(connect(server)) as sock:
        sock.sendall(request)
        return read_all(sock)
