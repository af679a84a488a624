from __future__ import annotations

import gzip
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import pytest
from fluent.sender import EventTime, FluentSender

from log_forwarder.fake.forward import ForwardServer

TIME = EventTime(1_700_000_000, 5)
TIME_NS = 1_700_000_000_000_000_005
ENTRY = msgpack.packb([TIME, {"n": "ö"}])
OTHER = msgpack.packb([TIME, {"n": 2}])
BOTH = [("tag", TIME_NS, {"n": "ö"}), ("tag", TIME_NS, {"n": 2})]
PATIENCE_SECONDS = 20.0


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Client:
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
        self._unpacker = msgpack.Unpacker(raw=False)

    def send(self, message: object, **options: Any) -> None:
        self._socket.sendall(msgpack.packb(message, **options))

    def answer(self) -> Any:
        """Return the next message, None at the end of the connection."""
        while True:
            for message in self._unpacker:
                return message
            try:
                data = self._socket.recv(4096)
            except ConnectionResetError:
                return None
            if not data:
                return None
            self._unpacker.feed(data)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def events() -> list[tuple[str, int, Any]]:
    return []


@pytest.fixture
def server(events: list[tuple[str, int, Any]]) -> Iterator[ForwardServer]:
    with ForwardServer(on_event=lambda *event: events.append(event)) as started:
        yield started


@pytest.fixture
def client(server: ForwardServer) -> Iterator[Client]:
    connected = Client(server.port)
    yield connected
    connected.close()


@pytest.mark.parametrize(
    ("message", "arrived"),
    [
        (["tag", TIME, {"n": "ö"}, {"chunk": "c"}], BOTH[:1]),
        (["tag", 1_700_000_000, {"n": 1}, {"chunk": "c"}], [("tag", 1_700_000_000_000_000_000, {"n": 1})]),
        (["tag", [[TIME, {"n": "ö"}], [TIME, {"n": 2}]], {"chunk": "c"}], BOTH),
        (["tag", ENTRY + OTHER, {"chunk": "c", "size": 2}], BOTH),
        (["tag", gzip.compress(ENTRY + OTHER), {"chunk": "c", "compressed": "gzip"}], BOTH),
        (["tag", gzip.compress(ENTRY) + gzip.compress(OTHER), {"chunk": "c", "compressed": "gzip"}], BOTH),
        (["tag", b"", {"chunk": "c", "size": 0}], []),
    ],
)
def test_every_mode_is_taken_and_acknowledged(
    client: Client,
    events: list[tuple[str, int, Any]],
    message: list[Any],
    arrived: list[tuple[str, int, Any]],
) -> None:
    client.send(message)
    assert client.answer() == {"ack": "c"}
    assert events == arrived


def test_a_body_that_travels_as_a_string_is_taken(client: Client, events: list[tuple[str, int, Any]]) -> None:
    # Fluentd's own output packs bodies as str 32.
    message = b"\x93\xa3tag\xdb" + len(ENTRY).to_bytes(4, "big") + ENTRY + msgpack.packb({"chunk": "c"})
    client._socket.sendall(message)
    assert client.answer() == {"ack": "c"}
    assert events == BOTH[:1]


def test_heartbeats_and_messages_without_a_chunk_have_no_answer(
    client: Client, server: ForwardServer
) -> None:
    client.send(None)
    client.send(["tag", TIME, {"n": 1}])
    client.send(["tag", TIME, {"n": 2}, {"chunk": "last"}])
    assert client.answer() == {"ack": "last"}
    assert (server.tally().events, server.tally().chunks, server.tally().acks) == (2, 2, 1)


@pytest.mark.parametrize(
    "message",
    [
        1,
        {"a": 1},
        ["tag"],
        [1, 2, 3],
        ["tag", b"\xc1", {}],
        ["tag", ENTRY, {"compressed": "zstd", "chunk": "c"}],
    ],
)
def test_what_is_no_message_ends_the_connection(
    client: Client, server: ForwardServer, message: object
) -> None:
    client.send(message)
    assert client.answer() is None
    assert server.tally().acks == 0


def test_without_a_listener_nothing_is_unpacked_and_the_named_size_counts() -> None:
    with ForwardServer() as server:
        client = Client(server.port)
        client.send(["tag", b"not msgpack \xc1", {"size": 7, "chunk": "c"}])
        assert client.answer() == {"ack": "c"}
        client.close()
        assert (server.tally().events, server.tally().bytes) == (7, 13)


def test_without_a_named_size_entries_are_counted() -> None:
    with ForwardServer() as server:
        client = Client(server.port)
        client.send(["tag", ENTRY + OTHER, {"chunk": "c"}])
        assert client.answer() == {"ack": "c"}
        client.close()
        assert server.tally().events == 2


def test_fluent_logger_is_served(server: ForwardServer, events: list[tuple[str, int, Any]]) -> None:
    sender = FluentSender("app", port=server.port, nanosecond_precision=True)
    assert sender.emit_with_time("x", TIME, {"a": 1})
    sender.close()
    probe = Client(server.port)
    probe.send(["end", TIME, {}, {"chunk": "c"}])
    assert probe.answer() == {"ack": "c"}
    probe.close()
    # The sender's connection may be read after the probe's.
    _wait_until(lambda: len(events) == 2)
    assert ("app.x", TIME_NS, {"a": 1}) in events


@pytest.mark.parametrize(("stored", "count"), [(True, 1), (False, 0)])
def test_it_dies_between_a_chunk_and_its_acknowledgement(
    client: Client, server: ForwardServer, stored: bool, count: int
) -> None:
    server.faults.die_mid_ack(stored=stored)
    client.send(["tag", ENTRY, {"chunk": "c"}])
    assert client.answer() is None
    assert (server.tally().events, server.tally().acks) == (count, 0)
    second = Client(server.port)
    second.send(["tag", ENTRY, {"chunk": "c"}])
    assert second.answer() == {"ack": "c"}
    second.close()


def test_it_dies_at_each_chunk_with_a_certain_text(client: Client, server: ForwardServer) -> None:
    server.faults.poison = "ö"
    client.send(["tag", OTHER, {"chunk": "a"}])
    assert client.answer() == {"ack": "a"}
    client.send(["tag", gzip.compress(OTHER + ENTRY), {"chunk": "b", "compressed": "gzip"}])
    assert client.answer() is None
    assert (server.tally().events, server.tally().acks) == (1, 1)


def test_while_it_hangs_it_reads_and_does_not_acknowledge(client: Client, server: ForwardServer) -> None:
    server.faults.hang = True
    client.send(["tag", ENTRY, {"chunk": "a"}])
    client.send(["tag", ENTRY])
    _wait_until(lambda: server.tally().chunks == 2)
    server.faults.hang = False
    client.send(["tag", ENTRY, {"chunk": "b"}])
    assert client.answer() == {"ack": "b"}


def test_late_acknowledgements_come_late_and_hold_nothing_up(client: Client, server: ForwardServer) -> None:
    server.faults.late_seconds = 2.0
    client.send(["tag", ENTRY, {"chunk": "a"}])
    _wait_until(lambda: server.tally().chunks == 1)
    assert server.tally().acks == 0
    assert client.answer() == {"ack": "a"}


def test_stopped_it_refuses_and_started_it_serves_on_the_same_port(
    server: ForwardServer, client: Client
) -> None:
    port = server.port
    server.stop()
    assert client.answer() is None
    with pytest.raises(ConnectionRefusedError):
        Client(port)
    server.start()
    again = Client(port)
    again.send(["tag", ENTRY, {"chunk": "a"}])
    assert again.answer() == {"ack": "a"}
    again.close()


def test_dropped_connections_are_closed_and_new_ones_taken(server: ForwardServer, client: Client) -> None:
    client.send(["tag", ENTRY, {"chunk": "a"}])
    assert client.answer() == {"ack": "a"}
    server.drop_connections()
    assert client.answer() is None
    again = Client(server.port)
    again.send(["tag", ENTRY, {"chunk": "b"}])
    assert again.answer() == {"ack": "b"}
    again.close()


def test_data_before_the_login_ends_the_connection() -> None:
    with ForwardServer(shared_key="key") as server:
        client = Client(server.port)
        assert client.answer()[0] == "HELO"
        client.send(["tag", ENTRY, {"chunk": "c"}])
        assert client.answer() is None
        client.close()
        assert (server.tally().events, server.tally().refused_logins) == (0, 1)


@pytest.mark.parametrize("arguments", [[], ["--unpack"]])
def test_as_a_program_it_says_when_it_is_ready_and_counts_at_the_end(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "log_forwarder.fake.forward", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, _, address = process.stdout.readline().strip().partition(" ")
        assert (word, address.partition(":")[0]) == ("READY", "127.0.0.1")
        client = Client(int(address.partition(":")[2]))
        client.send(["tag", ENTRY + OTHER, {"chunk": "c", "size": 2}])
        assert client.answer() == {"ack": "c"}
        client.close()
        process.send_signal(signal.SIGTERM)
        counts = json.loads(process.stdout.readline())
        assert process.wait(PATIENCE_SECONDS) == 0
    assert (counts["events"], counts["chunks"], counts["connections"]) == (2, 1, 1)
    assert counts.get("tags") == ({"tag": 2} if arguments else None)
