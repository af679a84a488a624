"""A TLS connection that is read and written at the same time."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest
import trustme

from fleet.agent.sharedtls import SharedTls

_PATIENCE_SECONDS = 60.0
_MESSAGES = [b"%06d" % number for number in range(3000)]
# One thread in TLS beside another one damages some of so many.
_CONNECTIONS = 20


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def connected(authority: trustme.CA) -> Iterator[tuple[SharedTls, ssl.SSLSocket]]:
    """Return both ends of a connection."""
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    taken: list[ssl.SSLSocket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(_PATIENCE_SECONDS)
        taking = threading.Thread(
            target=lambda: taken.append(server.wrap_socket(listener.accept()[0], server_side=True))
        )
        taking.start()
        plain = socket.create_connection(listener.getsockname())
        shared = SharedTls(client.wrap_socket(plain, server_hostname="127.0.0.1"))
        taking.join(_PATIENCE_SECONDS)
    with closing(shared), closing(taken[0]):
        taken[0].settimeout(_PATIENCE_SECONDS)
        yield shared, taken[0]


def echo(peer: ssl.SSLSocket) -> None:
    with suppress(OSError):
        while data := peer.recv(65536):
            peer.sendall(data)


@pytest.mark.parametrize("number", range(_CONNECTIONS))
def test_one_thread_reads_while_another_one_writes(number: int, authority: trustme.CA) -> None:
    whole, heard = b"".join(_MESSAGES), bytearray()
    with connected(authority) as (shared, peer):

        def read() -> None:
            while len(heard) < len(whole) and (data := shared.recv(65536)):
                heard.extend(data)

        threads = [threading.Thread(target=echo, args=(peer,)), threading.Thread(target=read)]
        for thread in threads:
            thread.start()
        for message in _MESSAGES:
            shared.sendall(message)
        threads[1].join(_PATIENCE_SECONDS)
        shared.shutdown(socket.SHUT_RDWR)
        threads[0].join(_PATIENCE_SECONDS)
    assert heard == whole, f"connection {number}"


def test_whoever_reads_is_woken_when_the_connection_is_shut(authority: trustme.CA) -> None:
    with connected(authority) as (shared, _):
        heard: list[object] = []

        def read() -> None:
            try:
                heard.append(shared.recv(10))
            except OSError as error:
                heard.append(error)

        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        shared.shutdown(socket.SHUT_RDWR)
        reading.join(_PATIENCE_SECONDS)
        assert not reading.is_alive()
    assert len(heard) == 1


def test_a_peer_that_takes_nothing_is_not_waited_for_without_an_end(authority: trustme.CA) -> None:
    with connected(authority) as (shared, _):
        shared.settimeout(0.2)
        with pytest.raises(TimeoutError, match="takes nothing"):
            shared.sendall(bytes(64 * 2**20))
