from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgpack
import pytest

from bench.ledger import Arrival
from bench.stores import ForwardStore

SECONDS = 20.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ForwardStore]:
    with ExitStack() as cleanup:
        yield ForwardStore(tmp_path, cleanup)


def send(store: ForwardStore, name: str) -> socket.socket:
    record = {"container_id": "a" * 64, "source": "stdout", "log": f"text {name}", "event_id": name}
    entry = msgpack.packb([msgpack.ExtType(0, b"\0\0\0\1\0\0\0\0"), record])
    host, _, port = store.word.removeprefix("fluentd://").partition(":")
    connection = socket.create_connection((host, int(port)), SECONDS)
    connection.sendall(msgpack.packb(["tag", entry, {"chunk": f"chunk-{name}"}]))
    return connection


def answered(connection: socket.socket) -> bool:
    with connection:
        return bool(connection.recv(1000))


def texts(store: ForwardStore) -> list[tuple[str, bool]]:
    return [(each.event_id, each.acked >= 0) for each in store.arrivals()]


def wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _late_sender(store: ForwardStore) -> threading.Thread:
    """Send until the server dies of it: the signal may arrive after the first one."""

    def run() -> None:
        with suppress(OSError):
            while answered(send(store, "late")):
                pass

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_is_received_is_written_down_with_the_time_of_its_acknowledgement(store: ForwardStore) -> None:
    before = time.monotonic()
    assert answered(send(store, "one"))
    wait(lambda: texts(store) == [("one", True)])
    [arrival] = store.arrivals()
    assert arrival == Arrival("a" * 12, "stdout", "text one", "one", arrival.acked)
    assert before < arrival.acked < time.monotonic()


def test_what_was_received_outlives_a_kill(store: ForwardStore) -> None:
    assert answered(send(store, "one"))
    wait(lambda: texts(store) == [("one", True)])
    store.lose("kill")
    store.bring_back()
    assert answered(send(store, "two"))
    wait(lambda: texts(store) == [("one", True), ("two", True)])


def test_a_death_in_mid_ack_leaves_an_event_that_is_not_acknowledged(store: ForwardStore) -> None:
    with ExitStack() as cleanup:
        cleanup.callback(_late_sender(store).join)
        store.lose("mid-ack")
    assert texts(store)[-1] == ("late", False)
    store.bring_back()
    assert answered(send(store, "later"))


def test_a_frozen_one_answers_when_it_is_thawed(store: ForwardStore) -> None:
    store.lose("freeze")
    connection = send(store, "one")
    connection.settimeout(0.2)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    store.bring_back()
    connection.settimeout(SECONDS)
    assert answered(connection)


def test_a_torn_frame_is_left_out(store: ForwardStore) -> None:
    assert answered(send(store, "one"))
    wait(lambda: texts(store) == [("one", True)])
    [journal] = store._journal.glob("*.journal")
    with journal.open("ab") as file:
        file.write(msgpack.packb(["c", 9, b"x", 1.0, "", b"body"])[:-3])
    assert texts(store) == [("one", True)]
