from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from bench.gate import Gate

SECONDS = 10.0


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate before a server that sends back what it is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=_echo, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        with Gate(listener.getsockname()[1]) as gate:
            yield gate
        listener.shutdown(socket.SHUT_RDWR)


def _echo(connection: socket.socket) -> None:
    with connection, suppress(OSError):  # a gate that is shut cuts it at any moment
        while data := connection.recv(100):
            connection.sendall(data)


def connect(gate: Gate) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gate.port), SECONDS)


def test_an_open_gate_passes_both_ways(gate: Gate) -> None:
    with connect(gate) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"


def test_a_shut_gate_cuts_and_refuses_and_opens_on_the_same_port(gate: Gate) -> None:
    with connect(gate) as client:
        client.sendall(b"hello")
        client.recv(100)
        gate.shut()
        assert client.recv(100) == b""
    with pytest.raises(ConnectionRefusedError):
        connect(gate)
    gate.open()
    with connect(gate) as client:
        client.sendall(b"again")
        assert client.recv(100) == b"again"


def test_a_muted_gate_keeps_the_answer(gate: Gate) -> None:
    gate.muted = True
    with connect(gate) as client:
        client.sendall(b"hello")
        assert gate.swallowed.wait(SECONDS)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(100)
