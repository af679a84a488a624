from __future__ import annotations

import socket

import pytest

from lab import LabError
from lab.lumberjack import Lumberjack, build

# A window of one event.
WINDOW = b"2W\0\0\0\x01" + b"2J\0\0\0\x01\0\0\0\x07" + b'{"a":1}'


def test_it_keeps_the_events_of_a_window_and_acknowledges_it() -> None:
    with Lumberjack() as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
            client.sendall(WINDOW)
            assert client.recv(100) == b"2A\0\0\0\x01"
        assert server.wait_for(1) == [{"a": 1}]
        with pytest.raises(LabError, match=r"1 of 2 events within 0\.1 s"):
            server.wait_for(2, timeout=0.1)


def test_while_it_is_busy_it_gives_signs_of_life() -> None:
    with (
        Lumberjack(pause_s=1, keepalive_s=0.1) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as client,
    ):
        client.sendall(WINDOW)
        assert client.recv(6) == b"2A\0\0\0\0"


def test_it_is_built_once() -> None:
    assert build() == build()
