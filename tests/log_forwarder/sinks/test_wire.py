from __future__ import annotations

import socket

import pytest

from compose_agent.web.address import Address
from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.wire import LinkEnded, Wire

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


def test_a_peer_that_takes_nothing_is_given_up_within_the_deadline() -> None:
    ours, peer = socket.socketpair()
    wire = Wire(SERVER, ours)
    with peer, pytest.raises(SinkUnavailable, match=r"logs:1 took no data for too long \(0\.1 s\)"):
        wire.send(bytes(10_000_000), 0.1)
    wire.close()
