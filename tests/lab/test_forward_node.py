from __future__ import annotations

import socket
from collections.abc import Iterator

import msgpack
import pytest

from lab import LabError
from lab.forward_node import Entry, ForwardNode, install


@pytest.fixture(scope="module")
def server() -> Iterator[ForwardNode]:
    with ForwardNode() as started:
        yield started


def test_it_acknowledges_a_chunk_and_keeps_its_events(server: ForwardNode) -> None:
    time = msgpack.ExtType(0, (1_700_000_000).to_bytes(4, "big") + (5).to_bytes(4, "big"))
    body = msgpack.packb([time, {"log": "héllo"}])
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(msgpack.packb(["a.b", body, {"size": 1, "chunk": "id"}]))
        assert msgpack.unpackb(client.recv(100)) == {"ack": "id"}
    assert server.wait_for(1) == [Entry("a.b", 1_700_000_000_000_000_005, {"log": "héllo"})]


def test_waiting_for_what_never_comes_ends(server: ForwardNode) -> None:
    with pytest.raises(LabError, match=r"of 1000 events within 0\.1 s"):
        server.wait_for(1000, timeout=0.1)


def test_it_is_installed_once() -> None:
    assert install() == install()
