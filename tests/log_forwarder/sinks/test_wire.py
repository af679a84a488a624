from __future__ import annotations

import errno
import socket
import ssl
import threading

import pytest

from compose_agent.address import Address
from log_forwarder.sinks.contract import LinkEnded, SinkUnavailable
from log_forwarder.sinks.wire import Wire

SERVER = Address("logs", 1)


def test_bytes_go_both_ways_and_nothing_is_no_end() -> None:
    ours, peer = socket.socketpair()
    wire = Wire(SERVER, ours)
    with peer:
        assert wire.receive(0) == b""
        peer.sendall(b"answer")
        wire.send(b"question")
        assert (peer.recv(100), wire.receive(1)) == (b"question", b"answer")
    wire.close()
    wire.close()


def test_an_end_is_told_with_the_name_of_the_server() -> None:
    ours, peer = socket.socketpair()
    wire = Wire(SERVER, ours)
    peer.close()
    with pytest.raises(LinkEnded, match="logs:1 closed the connection: check the address, and set tls=1"):
        wire.receive(1)
    with pytest.raises(LinkEnded, match="logs:1 broke the connection"):
        wire.send(b"x")
    wire.close()


def test_an_end_in_the_middle_of_what_is_sent_is_one() -> None:
    ours, peer = socket.socketpair()
    wire = Wire(SERVER, ours)
    threading.Timer(0.1, peer.close).start()
    with pytest.raises(
        LinkEnded, match=r"logs:1 broke the connection \((Broken pipe|Connection reset by peer)\)"
    ):
        wire.send(bytes(10_000_000))
    wire.close()


class _Failing(socket.socket):
    """A socket on which nothing can be done any more."""

    error: OSError

    def send(self, *_given: object) -> int:
        raise self.error


@pytest.mark.parametrize(
    ("error", "ended"),
    [
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), True),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), True),
        (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), True),
        (OSError(errno.ENETDOWN, "Network is down"), False),
        (OSError(errno.EHOSTUNREACH, "No route to host"), False),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), False),
    ],
)
def test_only_what_the_peer_did_is_an_end(error: OSError, *, ended: bool) -> None:
    ours = _Failing()
    ours.error = error
    wire = Wire(SERVER, ours)
    with pytest.raises(SinkUnavailable) as failed:
        wire.send(b"x")
    assert isinstance(failed.value, LinkEnded) is ended
    wire.close()


def test_a_peer_that_takes_nothing_is_given_up_within_the_deadline() -> None:
    ours, peer = socket.socketpair()
    wire = Wire(SERVER, ours)
    with peer, pytest.raises(SinkUnavailable, match=r"logs:1 took no data for too long \(0\.1 s\)"):
        wire.send(bytes(10_000_000), 0.1)
    wire.close()
