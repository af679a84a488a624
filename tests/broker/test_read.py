"""The read socket in front of the fake Engine: what gets through, what does not, and how answers end."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker.metrics import BrokerMetrics
from broker.read import MAX_REDACTED_BYTES
from broker.streams import Streams
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.errors import EngineNotFound, EngineRefused
from tests.broker.conftest import MOST_STREAMS, Socket, eventually

ENV = ["TOKEN=secret", "PATH=/bin"]
# What CVE-2024-41110 and CVE-2026-34040 have in common: the body decides, and its length confuses filters.
SMUGGLED = b'{"Image":"busybox","HostConfig":{"Privileged":true,"Binds":["/:/host"]}}'


@pytest.fixture
def client(read_socket: Socket) -> Iterator[EngineClient]:
    made = EngineClient(Endpoint(f"unix://{read_socket.path}", "test"))
    yield made
    made.close()


def calls(engine: FakeEngine) -> set[str]:
    return set(engine.requests())


def test_the_engine_client_works_unchanged(engine: FakeEngine, client: EngineClient) -> None:
    made = engine.add_container("web", config={"Env": ENV})
    ping = client.negotiate()
    assert (ping.api_version, ping.server[:7]) == ("1.51", "Docker/")
    assert client.version()["ApiVersion"] == "1.51"
    assert client.info()["Containers"] == 1
    assert [each["Id"] for each in client.list_containers()] == [made]
    assert client.inspect("web")["Config"]["Env"] == ["TOKEN=<redacted>", "PATH=/bin"]
    assert client.stats(made)["id"] == made
    assert client.list_images()
    with pytest.raises(EngineNotFound, match="No such container"):
        client.inspect("nobody")


def test_the_engine_client_cannot_change_anything(engine: FakeEngine, client: EngineClient) -> None:
    made = engine.add_container("web")
    client.negotiate()
    engine.forget_requests()
    for change in (client.start, client.remove):
        with pytest.raises(EngineRefused, match=r"403.*changes nothing"):
            change(made)
    assert calls(engine) == set()


def test_a_lists_answer_is_the_engines_byte_for_byte(engine: FakeEngine, read_socket: Socket) -> None:
    engine.add_container("web", labels={"a": "b"})
    direct = Socket(engine.socket).ask("GET /containers/json")
    assert read_socket.ask("GET /containers/json") == direct


def test_head_is_answered_without_a_body(engine: FakeEngine, read_socket: Socket) -> None:
    status, body = read_socket.ask("HEAD /_ping")
    assert (status, body) == (200, b"")
    assert calls(engine) == {"HEAD /_ping"}


@pytest.mark.parametrize(
    ("line", "headers", "body"),
    [
        ("GET /info", "Content-Length: 2\r\n", b"{}"),
        ("GET /containers/json", f"Content-Length: {len(SMUGGLED)}\r\n", SMUGGLED),
        ("POST /containers/create", "Content-Length: 0\r\n", SMUGGLED),
        ("POST /v1.41/containers/create", "Content-Length: 1048577\r\n", b""),
        ("GET /info", "Upgrade: tcp\r\nConnection: Upgrade\r\n", b""),
        ("GET /info", "Connection: keep-alive, upgrade\r\n", b""),
        ("GET /containers/web/attach/ws?stdin=1&stream=1", "Upgrade: websocket\r\n", b""),
        ("POST /containers/web/attach?stream=1&stdin=1", "Upgrade: tcp\r\nConnection: Upgrade\r\n", b""),
        ("POST /session", "Upgrade: h2c\r\nConnection: Upgrade\r\n", b""),
        ("POST /containers/web/restart", "", b""),
        ("GET /containers/web/exec", "", b""),
        ("GET /containers/web/archive?path=/etc", "", b""),
    ],
)
def test_the_classics_reach_nobody(
    engine: FakeEngine, read_socket: Socket, line: str, headers: str, body: bytes
) -> None:
    engine.add_container("web")
    status, answer = read_socket.ask(line, headers, body)
    assert status in {403, 413}
    assert answer
    assert calls(engine) == set()


def test_a_body_in_chunks_and_what_follows_it_are_told_apart(
    engine: FakeEngine, read_socket: Socket, metrics: BrokerMetrics
) -> None:
    chunked = b"GET /info HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    hidden = b"POST /containers/web/restart HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
    last = b"GET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answer = read_socket.exchange(chunked + hidden + last)
    statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
    assert statuses == [b"403", b"403", b"200"][: len(statuses)]
    assert calls(engine) <= {"GET /version"}
    assert b'broker_refusals_total{reason="body",socket="read"} 1.0' in metrics.text(openmetrics=False)


def test_of_a_request_only_what_is_on_the_list_goes_on(engine: FakeEngine, read_socket: Socket) -> None:
    status, _ = read_socket.ask("GET /info", "Host: evil\r\nCookie: a\r\nX-Registry-Auth: b\r\n")
    assert status == 200
    assert calls(engine) == {"GET /info"}


def test_an_engine_that_is_away_is_said_in_its_own_shape(engine: FakeEngine, read_socket: Socket) -> None:
    engine.stop_engine()
    status, body = read_socket.ask("GET /info")
    assert status == 502
    assert "no Engine at" in json.loads(body)["message"]
    engine.start_engine()
    assert read_socket.ask("GET /info")[0] == 200


@pytest.mark.parametrize("kind", ["garbage", "truncate", "reset-body"])
def test_an_answer_that_cannot_be_redacted_is_not_shown(
    engine: FakeEngine, read_socket: Socket, kind: str
) -> None:
    engine.add_container("web", config={"Env": ENV})
    engine.add_fault(Fault("GET /containers/web/json", kind, times=1, after=200))  # type: ignore[arg-type]
    status, body = read_socket.ask("GET /containers/web/json")
    assert status == 502
    assert b"secret" not in body


def test_an_answer_too_large_to_redact_is_not_shown(engine: FakeEngine, read_socket: Socket) -> None:
    engine.add_container("web")
    huge = f'{{"Env": ["TOKEN={"x" * MAX_REDACTED_BYTES}"]}}'
    engine.add_fault(Fault("GET /containers/web/json", "wrong", times=1, body=huge))
    assert read_socket.ask("GET /containers/web/json")[0] == 502


def test_an_answer_that_breaks_off_is_not_taken_for_whole(engine: FakeEngine, read_socket: Socket) -> None:
    engine.add_container("web")
    engine.add_fault(Fault("GET /containers/json", "reset-body", times=1, after=50))
    with closing(read_socket.connect()) as sock:
        sock.sendall(b"GET /containers/json HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    assert len(body) < int(length.split(b":")[1])


def open_events(read_socket: Socket) -> socket.socket:
    """Return a connection on which the head of a stream has come."""
    sock = read_socket.connect()
    sock.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
    return sock


def test_a_silent_stream_begins_at_once_and_says_what_happens(
    engine: FakeEngine, read_socket: Socket
) -> None:
    with closing(open_events(read_socket)) as sock:
        engine.add_container("web", running=False)
        assert b'"Action":"create"' in sock.recv(65536)


def test_a_stream_ends_at_the_engine_when_its_client_goes(
    engine: FakeEngine, read_socket: Socket, streams: Streams
) -> None:
    sock = open_events(read_socket)
    assert streams.count() == 1
    assert engine._listener is not None
    connections = engine._listener._connections
    assert len(connections) == 1
    sock.close()
    eventually(lambda: not streams.count(), "the broker still holds the stream")
    eventually(lambda: not connections, "the Engine still has the connection")


def test_a_stream_ends_without_its_end_mark_when_the_engine_goes(
    engine: FakeEngine, read_socket: Socket
) -> None:
    with closing(open_events(read_socket)) as sock:
        engine.stop_engine()
        rest = b"".join(iter(lambda: sock.recv(65536), b""))
    assert not rest.endswith(b"0\r\n\r\n")
    engine.start_engine()


def test_streams_end_when_the_broker_stops(read_socket: Socket, streams: Streams) -> None:
    with closing(open_events(read_socket)) as sock:
        streams.close()
        assert b"".join(iter(lambda: sock.recv(65536), b"")) == b""


def test_streams_leave_room_for_short_answers(
    read_socket: Socket, streams: Streams, metrics: BrokerMetrics
) -> None:
    open_ones = [open_events(read_socket) for _ in range(MOST_STREAMS)]
    status, body = read_socket.ask("GET /events")
    assert status == 503
    assert "max-streams" in json.loads(body)["message"]
    assert read_socket.ask("GET /info")[0] == 200
    assert b'reason="streams",socket="read"} 1.0' in metrics.text(openmetrics=False)
    for sock in open_ones:
        sock.close()
    eventually(lambda: not streams.count(), "the places are not given back")
    assert read_socket.ask("GET /containers/nobody/logs?stdout=1")[0] == 404


def test_a_reader_that_pauses_makes_the_engine_wait_and_loses_nothing(
    engine: FakeEngine, read_socket: Socket
) -> None:
    # Far more than sockets hold, taken after the server's own patience (3 s) with those who do not read.
    made = engine.add_container("web", config={"Tty": True})
    written = "".join(f"{number:0999}\n" for number in range(4000))
    engine.write(made, written)
    with closing(read_socket.connect()) as sock:
        sock.sendall(b"GET /containers/web/logs?stdout=1 HTTP/1.0\r\n\r\n")
        threading.Event().wait(4.0)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    assert answer.partition(b"\r\n\r\n")[2].replace(b"\r", b"") == written.encode()


def test_requests_are_counted_by_route_and_status(
    engine: FakeEngine, read_socket: Socket, metrics: BrokerMetrics
) -> None:
    engine.add_container("web")
    read_socket.ask("GET /containers/web/json")
    read_socket.ask("GET /containers/nobody/json")
    text = metrics.text(openmetrics=False).decode()
    for status in (200, 404):
        labels = f'route="containers/{{id}}/json",socket="read",status="{status}"'
        assert f"broker_requests_total{{{labels}}} 1.0" in text


def test_the_socket_is_for_its_group(read_socket: Socket) -> None:
    assert Path(read_socket.path).stat().st_mode & 0o777 == 0o660
