"""The agent's connection over WebSocket: a manager that takes it and then says nothing."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest
import trustme

from fleet.agent import websocket
from fleet.agent.transport import LinkError, Target
from fleet.agent.websocket import WebSocketTransport

_CONNECT_SECONDS = 1.0
# What a machine with much else to do takes; a connection that hangs takes for ever.
_PATIENCE_SECONDS = 30.0


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def mute(authority: trustme.CA) -> Iterator[int]:
    """A server that shakes hands, which sends tickets as well, and says no word of WebSocket; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(_PATIENCE_SECONDS)
        ended = threading.Event()

        def serve() -> None:
            connection, _ = listener.accept()
            # Who gives it up goes away, perhaps before the hands are shaken.
            with suppress(OSError), context.wrap_socket(connection, server_side=True) as taken:
                taken.recv(4096)
                ended.wait(_PATIENCE_SECONDS)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        ended.set()
        thread.join()


def test_a_manager_that_takes_a_connection_and_says_nothing_is_given_up(
    mute: int, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "CONNECT_SECONDS", _CONNECT_SECONDS)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    errors: list[LinkError] = []

    def open_it() -> None:
        try:
            WebSocketTransport(Target(f"wss://127.0.0.1:{mute}/agent", tls=trusting)).open()
        except LinkError as error:
            errors.append(error)

    opening = threading.Thread(target=open_it, daemon=True)
    began = time.monotonic()
    opening.start()
    opening.join(_PATIENCE_SECONDS)
    assert not opening.is_alive(), "it hangs"
    assert "handshake" in str(errors[0])
    assert time.monotonic() - began >= _CONNECT_SECONDS
