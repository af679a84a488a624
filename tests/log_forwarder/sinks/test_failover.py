from __future__ import annotations

import pytest

from compose_agent.address import Address
from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.failover import RETURN_CONNECT_SECONDS, FailOver
from log_forwarder.sinks.servers import RETURN_SECONDS, Server
from log_forwarder.sinks.wire import CONNECT_SECONDS

A, B = Address("a", 1), Address("b", 1)


class Link:
    def __init__(self, server: Server, seconds: float) -> None:
        self.server, self.seconds, self.closed = server, seconds, False

    def close(self) -> None:
        self.closed = True


class Network:
    """Opens links to the servers that are there."""

    def __init__(self, *there: Server) -> None:
        self.there = set(there)
        self.now = 0.0
        self.links = FailOver((A, B), self._open, lambda: self.now)

    def _open(self, server: Server, seconds: float) -> Link:
        if server not in self.there:
            raise SinkUnavailable(f"{server} is away", remedy=f"start {server}")
        return Link(server, seconds)

    def link(self) -> Link:
        assert self.links.link is not None
        return self.links.link


def test_the_first_server_that_can_be_had_is_taken() -> None:
    network = Network(B)
    network.links.connect()
    assert (network.link().server, network.link().seconds) == (B, CONNECT_SECONDS)


def test_it_is_told_of_each_server_that_is_away() -> None:
    with pytest.raises(SinkUnavailable, match="a:1 is away; b:1 is away: start a:1"):
        Network().links.connect()


def test_the_first_server_is_returned_to_when_it_is_back_and_not_before_its_time() -> None:
    network = Network(B)
    network.links.connect()
    second = network.link()
    network.now += RETURN_SECONDS
    network.links.go_back()
    assert network.link() is second
    network.there.add(A)
    network.links.go_back()
    assert network.link() is second
    network.now += RETURN_SECONDS
    network.links.go_back()
    assert (network.link().server, network.link().seconds, second.closed) == (A, RETURN_CONNECT_SECONDS, True)


def test_connecting_and_closing_close_what_was_open() -> None:
    network = Network(A, B)
    network.links.connect()
    first = network.link()
    network.links.connect()
    second = network.link()
    network.links.close()
    network.links.close()
    assert (first.closed, second.closed, network.links.link) == (True, True, None)
