"""Requests to a real server, and what becomes of them."""

from __future__ import annotations

import gzip
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import bcrypt
import pytest

from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.server import WebServer
from compose_agent.web.webconfig import RateLimit
from compose_agent.web.webfile import WebConfigFile
from remediation.model import Source
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.refusal import Why
from remediation.receiver.routes import Receiver
from remediation.receiver.signatures import SIGNATURE_HEADER, TIMESTAMP_HEADER, Signatures, sign
from tests.remediation.receiver.sample import CUT, JSON, MIXED, alert, notification, recorded
from tests.remediation.receiver.serving import PATIENCE_SECONDS, Kept, asked, receiver_of, served

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ONE = notification(alert())
LIMIT = 1 << 20


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def receiver(kept: Kept) -> Receiver:
    return receiver_of(kept)


@pytest.fixture
def server(receiver: Receiver) -> Iterator[WebServer]:
    with served(receiver) as server:
        yield server


def test_what_alertmanager_sends_is_kept_and_then_answered(
    server: WebServer, kept: Kept, receiver: Receiver
) -> None:
    headers, body = recorded(MIXED)
    status, answer, _ = asked(server, body, {"Content-Type": headers["Content-Type"]})
    assert (status, json.loads(answer)) == (202, {"received": 3})
    assert [signal.firing for signal in kept.signals] == [True, False, True]
    assert receiver.received.requests == {Source.ALERTMANAGER: 1}
    assert sum(receiver.received.durable_counts) == 1


def test_alerts_that_were_left_out_are_told_of_after_the_others_are_kept(
    server: WebServer, kept: Kept, receiver: Receiver
) -> None:
    kept.broken = True
    assert asked(server, recorded(CUT)[1])[0] == 503
    assert kept.truncated == []
    kept.broken = False
    assert asked(server, recorded(CUT)[1])[0] == 202
    assert [(each.receiver, each.number) for each in kept.truncated] == [("max", 3)]
    assert receiver.received.truncated == 3


def test_duplicates_are_taken_again(server: WebServer, kept: Kept) -> None:
    assert [asked(server, ONE)[0] for _ in range(2)] == [202, 202]
    assert kept.signals[0].fingerprint == kept.signals[1].fingerprint


@pytest.mark.parametrize(
    ("given", "expected"), [(TRACE, TRACE), ("", ""), (f"{TRACE}x", ""), ("00-" + "0" * 32, "")]
)
def test_the_trace_of_the_request_goes_on(server: WebServer, kept: Kept, given: str, expected: str) -> None:
    asked(server, ONE, {**JSON, "traceparent": given})
    assert kept.signals[0].traceparent == expected


def test_what_cannot_be_kept_is_to_be_sent_again(
    server: WebServer, kept: Kept, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    kept.broken = True
    status, answer, headers = asked(server, ONE)
    assert (status, answer, headers["retry-after"]) == (503, b"not stored, send it again\n", "1")
    assert receiver.received.refused == {(Source.ALERTMANAGER, Why.NOT_DURABLE): 1}
    assert "is full" in str([record.__dict__ for record in caplog.records])


def test_the_page_of_the_webhook_explains_it(server: WebServer) -> None:
    status, answer, _ = asked(server, method="GET")
    assert (status, answer.count(b"\n")) == (200, 1)
    assert b"POST" in answer


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_not_allowed(server: WebServer, method: str) -> None:
    status, _, headers = asked(server, ONE, method=method)
    assert (status, headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("path", ["/", "/webhook/", "/Webhook", "/webhook/x", "//webhook", "/v1/triggers"])
def test_nothing_else_is_there_and_nothing_redirects(server: WebServer, path: str) -> None:
    assert asked(server, ONE, path=path)[0] == 404


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"", JSON, 400),
        (b"\xff", JSON, 400),
        (b"[" * 500_000, JSON, 400),
        (ONE, {}, 415),
        (ONE, {"Content-Type": "text/plain"}, 415),
        (gzip.compress(ONE), {**JSON, "Content-Encoding": "gzip"}, 415),
        (b"x" * (LIMIT + 1), JSON, 413),
        (ONE, {**JSON, "Origin": "http://127.0.0.1"}, 403),
    ],
)
def test_what_is_wrong_is_refused_and_the_next_is_taken(
    server: WebServer, kept: Kept, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert asked(server, body, headers)[0] == status
    assert kept.signals == []
    assert asked(server, ONE)[0] == 202


def raw(server: WebServer, head: str, body: bytes = b"") -> bytes:
    address = server.address
    with closing(socket.create_connection(("127.0.0.1", address.port), PATIENCE_SECONDS)) as sock:  # type: ignore[union-attr]
        with suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(head.replace("\n", "\r\n").encode() + body)
        return sock.recv(65536)


CHUNKED = "POST /webhook HTTP/1.1\nHost: x\nContent-Type: application/json\nTransfer-Encoding: chunked\n\n"


def test_a_body_in_chunks_is_read(server: WebServer, kept: Kept) -> None:
    assert raw(server, CHUNKED, b"%x\r\n%b\r\n0\r\n\r\n" % (len(ONE), ONE)).startswith(b"HTTP/1.1 202 ")
    assert len(kept.signals) == 1


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"zz\r\nxx\r\n0\r\n\r\n", 400),
        (b"2\r\nxxxxxx\r\n0\r\n\r\n", 400),
        (b"%x\r\n%b\r\n0\r\n\r\n" % (LIMIT + 1, b"x" * (LIMIT + 1)), 413),
        ((b"10000\r\n%b\r\n" % (b"x" * 65536)) * 17 + b"0\r\n\r\n", 413),
    ],
)
def test_chunks_that_are_wrong_or_too_many_are_refused(server: WebServer, body: bytes, status: int) -> None:
    assert raw(server, CHUNKED, body).startswith(b"HTTP/1.1 %d " % status)
    assert asked(server, ONE)[0] == 202


def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(server: WebServer) -> None:
    head = "POST /webhook HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 9999999\n\n"
    assert raw(server, head).startswith(b"HTTP/1.1 413 ")


def test_beyond_the_rate_it_says_so(kept: Kept) -> None:
    bucket = TokenBucket(RateLimit(3600.0, 2))
    receiver = receiver_of(kept, Doors(Access(), LIMIT, bucket))
    with served(receiver) as server:
        answers = [asked(server, ONE) for _ in range(3)]
    assert [status for status, *_ in answers] == [202, 202, 429]
    assert answers[-1][2]["retry-after"] == "1"
    assert receiver.received.refused == {(Source.ALERTMANAGER, Why.RATE): 1}


def test_who_is_refused_takes_nothing_of_the_rate(kept: Kept) -> None:
    bucket = TokenBucket(RateLimit(3600.0, 1))
    with served(receiver_of(kept, Doors(Access(tokens=lambda: [b"t"]), LIMIT, bucket))) as server:
        assert [asked(server, ONE)[0] for _ in range(5)] == [401] * 5
        assert asked(server, ONE, {**JSON, "Authorization": "Bearer t"})[0] == 202


def signed_headers(body: bytes, at: float | None = None) -> dict[str, str]:
    stamp = str(int(at if at is not None else time.time()))
    return {**JSON, TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: sign(b"key", stamp, body)}


def with_signatures(kept: Kept) -> Receiver:
    receiver = receiver_of(kept)
    receiver.doors = Doors(Access(signatures=Signatures(lambda: [b"key"], receiver.replays)), LIMIT)
    return receiver


def test_a_signed_request_is_taken_once(kept: Kept) -> None:
    receiver = with_signatures(kept)
    headers = signed_headers(ONE)
    with served(receiver) as server:
        assert [asked(server, ONE, headers)[0] for _ in range(2)] == [202, 401]
        assert asked(server, ONE + b" ", headers)[0] == 401
        assert asked(server, ONE, signed_headers(ONE, 0.0))[0] == 401
    assert len(kept.signals) == 1
    assert {why for _, why in receiver.received.refused} == {
        Why.REPLAYED,
        Why.WRONG_SIGNATURE,
        Why.STALE_SIGNATURE,
    }


def test_a_signed_request_that_could_not_be_kept_may_come_again(kept: Kept) -> None:
    headers = signed_headers(ONE)
    with served(with_signatures(kept)) as server:
        kept.broken = True
        assert asked(server, ONE, headers)[0] == 503
        kept.broken = False
        assert asked(server, ONE, headers)[0] == 202


def test_a_user_of_the_web_configuration_file_is_proof(kept: Kept, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text(f"basic_auth_users: {{am: {bcrypt.hashpw(b'pw', bcrypt.gensalt(4)).decode()}}}\n")
    receiver = receiver_of(kept, Doors(Access(required=True), LIMIT))
    with served(receiver, WebConfigFile(path)) as server:
        assert asked(server, ONE)[0] == 401
        assert asked(server, ONE, {**JSON, "Authorization": "Basic YW06cHc="})[0] == 202
    with served(receiver) as server:
        assert asked(server, ONE, {**JSON, "Authorization": "Basic YW06cHc="})[0] == 401


def test_new_doors_hold_from_the_next_request_on(server: WebServer, receiver: Receiver) -> None:
    assert asked(server, ONE)[0] == 202
    receiver.doors = Doors(Access(tokens=lambda: [b"t"]), LIMIT)
    assert asked(server, ONE)[0] == 401


def test_many_at_once_are_all_answered(server: WebServer, kept: Kept) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: asked(server, ONE)[0], range(200)))
    assert answers == [202] * 200
    assert len(kept.signals) == 200
