"""One span of time for several blocking calls."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from compose_agent.deadline import Deadline, DeadlineSocket, connect_unix
from tests.descriptors import open_sockets

# A peer that sends a byte this often never lets a timeout for each call pass.
BYTE_PAUSE_SECONDS = 0.02
SHORT_SECONDS = 0.2
# Many times the span that is asked for, on a loaded machine.
PATIENCE_SECONDS = 10.0


def test_it_counts_down_and_may_begin_anew() -> None:
    now = [100.0]
    deadline = Deadline(3, clock=lambda: now[0])
    assert (deadline.remaining(), deadline.expired) == (3, False)
    now[0] += 2
    assert deadline.remaining() == 1
    now[0] += 1
    assert deadline.expired
    with pytest.raises(TimeoutError):
        deadline.remaining()
    deadline.restart(5)
    assert (deadline.remaining(), deadline.expired) == (5, False)


class Peer:
    """Accepts one connection, and does what a test says with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(os.fspath(path))
        self._listening.listen()
        self.over = threading.Event()
        self._thread: threading.Thread | None = None

    def trickle(self) -> None:
        """Send a byte now and then, until the other end is gone."""
        self._thread = threading.Thread(target=self._trickle)
        self._thread.start()

    def close(self) -> None:
        self.over.set()
        if self._thread:
            self._thread.join()
        self._listening.close()

    def _trickle(self) -> None:
        # Who has seen enough goes away, perhaps just before the next byte.
        with self._listening.accept()[0] as connection, suppress(OSError):
            while not self.over.wait(BYTE_PAUSE_SECONDS):
                connection.sendall(b"x")


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    with closing(Peer(tmp_path / "a.sock")) as peer:
        yield peer


def read_for_ever(sock: DeadlineSocket) -> None:
    while True:
        sock.recv_into(bytearray(1))


def test_a_peer_that_trickles_does_not_prolong_it(peer: Peer) -> None:
    peer.trickle()
    with connect_unix(peer.path, SHORT_SECONDS) as sock:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            read_for_ever(sock)
        assert time.monotonic() - began < PATIENCE_SECONDS
        peer.over.set()


def test_a_new_timeout_is_a_new_deadline(peer: Peer) -> None:
    peer.trickle()
    with connect_unix(peer.path, SHORT_SECONDS) as sock:
        with pytest.raises(TimeoutError):
            read_for_ever(sock)
        sock.settimeout(PATIENCE_SECONDS)
        assert sock.recv_into(bytearray(1)) == 1
        sock.settimeout(None)
        assert sock.recv_into(bytearray(1)) == 1
        peer.over.set()


def test_a_peer_that_takes_nothing_ends_a_send(peer: Peer) -> None:
    with connect_unix(peer.path, SHORT_SECONDS) as sock:
        # Far more than a socket's buffers hold.
        with pytest.raises(TimeoutError):
            sock.sendall(bytes(64 * 1024 * 1024))
        # And nothing more goes without a new deadline.
        with pytest.raises(TimeoutError):
            sock.sendall(b"x")


def test_where_nobody_listens_nothing_is_left_open(tmp_path: Path) -> None:
    before = open_sockets()
    with pytest.raises(FileNotFoundError):
        connect_unix(tmp_path / "none.sock", SHORT_SECONDS)
    assert open_sockets() <= before  # one of another test may only just be ending
