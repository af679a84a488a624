from __future__ import annotations

import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from compose_agent.web import _connection, _streams
from compose_agent.web import server as server_module
from compose_agent.web.response import Response, body_of
from tests.web.wire import connect, exchange, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tests.web.conftest import Fetch, Serve

HELLO = Response.text(200, "hello")


def test_silent_clients_hold_no_thread(serve: Serve, fetch: Fetch) -> None:
    server = serve(HELLO, threads=2)
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(closing(connect(server)))
        with ThreadPoolExecutor(8) as pool:
            assert [answer.status for answer in pool.map(fetch, [server] * 50)] == [200] * 50


def test_a_client_that_trickles_its_headers_is_told_so_in_the_end(
    serve: Serve, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "HEADER_SECONDS", 0.2)
    monkeypatch.setattr(server_module._HttpServer, "expiration_interval", 0.05)
    server = serve(HELLO, threads=2)
    with closing(connect(server)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost:")
        assert fetch(server).status == 200
        assert read_all(sock).startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_each_byte_of_a_head_gives_it_no_more_time(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection, "HEADER_SECONDS", 0.3)
    # Only the bytes themselves can find the head late.
    monkeypatch.setattr(server_module._HttpServer, "expiration_interval", 600.0)
    with closing(connect(serve(HELLO))) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        sock.settimeout(0.05)
        assert any(is_answered(sock, b"HTTP/1.1 408 ") for _ in range(200))


def is_answered(sock: socket.socket, start: bytes) -> bool:
    try:
        return sock.recv(4096).startswith(start)
    except TimeoutError:
        sock.sendall(b"x")
        return False


def test_half_heads_hold_no_thread(
    serve: Serve,
    fetch: Fetch,
    monkeypatch: pytest.MonkeyPatch,
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    monkeypatch.setattr(_connection, "HEADER_SECONDS", 600.0)
    server = serve(HELLO, threads=2)
    http = server._http
    assert http is not None
    with ExitStack() as stack:
        for _ in range(100):
            sock = stack.enter_context(closing(connect(server)))
            sock.sendall(b"GET /metrics HTTP/1.1\r\nHost:")
        eventually(lambda: sum(conn.rfile.begun for conn in list(http._open)) == 100)
        assert [fetch(server).status for _ in range(10)] == [200] * 10


def test_refused_clients_that_stay_hold_no_thread(
    serve: Serve, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_connection, "LINGER_SECONDS", 600.0)
    server = serve(HELLO, threads=2)
    with ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(closing(connect(server)))
            sock.sendall(b"nonsense\r\n\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 400 ")
        assert fetch(server).status == 200


def test_clients_that_do_not_read_hold_a_thread_for_a_bounded_time(
    serve: Serve, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_streams, "STALL_SECONDS", 0.1)
    big = Response(200, bytes(50_000_000))

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return (big if environ["PATH_INFO"] == "/big" else HELLO)(environ, start_response)

    server = serve(app, threads=2)
    with ExitStack() as stack:
        for _ in range(20):
            sock = stack.enter_context(closing(connect(server)))
            sock.sendall(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert fetch(server).status == 200


def test_a_body_nobody_wants_is_not_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_connection, "DISCARD_SECONDS", 0.1)
    head, _, body = exchange(
        serve(HELLO), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"
    ).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close" in head
    assert body == b"hello\n"


def test_a_head_may_come_in_pieces(serve: Serve) -> None:
    with closing(connect(serve(HELLO))) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n":
            sock.sendall(bytes([byte]))
        assert read_all(sock).endswith(b"hello\n")


def test_a_body_that_never_comes_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_connection, "BODY_SECONDS", 0.2)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return Response(200, body_of(environ))(environ, start_response)

    answer = exchange(serve(app), b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_client_that_does_not_read_is_given_up(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    monkeypatch.setattr(_streams, "STALL_SECONDS", 0.2)
    server = serve(Response(200, bytes(50_000_000)))
    with closing(connect(server)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert server._http is not None
        http = server._http
        assert sock.recv(1) == b"H"  # the answer has begun
        eventually(lambda: not http._open)
