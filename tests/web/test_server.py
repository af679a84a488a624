from __future__ import annotations

import logging
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from compose_agent.address import Address, UnixAddress
from compose_agent.errors import ListenError
from compose_agent.web import server as server_module
from compose_agent.web.response import Response, body_of
from compose_agent.web.server import WebServer
from tests.web.wire import connect, exchange, read_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from wsgiref.types import StartResponse, WSGIEnvironment

    from tests.web.conftest import Fetch, Serve

HELLO = Response.text(200, "hello")


def test_port_0_becomes_a_real_one(serve: Serve) -> None:
    server = serve(HELLO)
    assert isinstance(server.address, Address)
    assert server.address.port > 0
    assert server.url == f"http://127.0.0.1:{server.address.port}"


def test_a_bound_server_keeps_its_clients_waiting_until_it_starts(fetch: Fetch) -> None:
    server = WebServer(Address("127.0.0.1", 0), HELLO)
    server.bind()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fetch, server)
        server.start()
        assert answer.result().body == b"hello\n"
    server.stop()


def test_a_server_that_was_only_bound_can_be_dropped() -> None:
    server = WebServer(Address("127.0.0.1", 0), HELLO)
    address = server.bind()
    assert server.stop()
    assert isinstance(address, Address)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", address.port))


def test_an_address_in_use_is_an_error_at_binding(serve: Serve) -> None:
    with pytest.raises(ListenError, match="the port is in use by"):
        WebServer(serve(HELLO).address, HELLO).bind()


def test_after_a_stop_the_address_is_free(fetch: Fetch) -> None:
    with WebServer(Address("127.0.0.1", 0), HELLO) as first:
        assert fetch(first).status == 200
    with WebServer(first.address, HELLO) as second:
        assert fetch(second).status == 200


def test_a_unix_socket_is_served_and_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "role.sock"
    with WebServer(UnixAddress(path), HELLO), closing(socket.socket(socket.AF_UNIX)) as sock:
        sock.connect(str(path))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert read_all(sock).endswith(b"hello\n")
    assert not path.exists()


def test_a_connection_is_kept_for_more_requests(serve: Serve) -> None:
    with closing(connect(serve(HELLO))) as sock, sock.makefile("rb") as answers:
        for _ in range(3):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            head = b"".join(iter(answers.readline, b"\r\n"))
            assert head.startswith(b"HTTP/1.1 200 OK")
            assert answers.readline() == b"hello\n"


def test_requests_sent_without_waiting_are_all_answered(serve: Serve) -> None:
    one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(serve(HELLO), one * 20 + one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    assert answer.count(b"hello\n") == 21


@pytest.mark.parametrize("size", [0, 1, 999_999])
def test_big_bodies_pass_whole_in_both_directions(serve: Serve, fetch: Fetch, size: int) -> None:
    def echo(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return Response(200, body_of(environ))(environ, start_response)

    body = bytes(index % 251 for index in range(size))
    assert fetch(serve(echo), method="POST", body=body).body == body


def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return Response.text(200, str(len(body_of(environ))))(environ, start_response)


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000001\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nF4241\r\n" + bytes(1_000_001), b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n", b"413"),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 5000, b"413"),
        (b"GET /" + b"x" * 5000, b"414"),
        (b"GET //metrics HTTP/1.1\r\n\r\n", b"404"),
        (b"GET http://other/metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\nHost: x\n\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n0123456789", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 4\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nhost: y\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n Content-Length: 4\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nContent-Length : 4\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n: no name\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: a\rY: b\r\n\r\n", b"400"),
        (b"GET //[ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://[x/ HTTP/1.1\r\n\r\n", b"400"),
        (b"get / HTTP/1.1\r\n\r\n", b"400"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"400"),
    ],
)
def test_what_is_too_big_or_no_http_is_refused(serve: Serve, request_text: bytes, status: bytes) -> None:
    assert exchange(serve(reading), request_text).split(b" ")[1] == status


def test_a_client_still_sending_reads_why_it_is_refused(serve: Serve) -> None:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20000000\r\n\r\n"
    assert exchange(serve(reading), head + bytes(20_000_000)).split(b" ")[1] == b"413"


def test_head_gets_no_body(serve: Serve) -> None:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "6")])
        return [b"hello\n"]

    answer = exchange(serve(app), b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n")


def raising(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    raise ConnectionRefusedError(111, "the secret socket")


def raising_later(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
    start_response("200 OK", [])
    yield b""
    raise ValueError("the secret value")


def raising_before(environ: WSGIEnvironment, _start_response: StartResponse) -> Iterator[bytes]:
    yield environ["the secret value"]


def answering_nothing(_environ: WSGIEnvironment, _start_response: StartResponse) -> Iterable[bytes]:
    return []


@pytest.mark.parametrize("app", [raising, raising_later, raising_before, answering_nothing])
def test_an_error_of_the_application_is_logged_and_not_shown(
    serve: Serve,
    fetch: Fetch,
    caplog: pytest.LogCaptureFixture,
    app: Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]],
) -> None:
    answer = fetch(serve(app), "/metrics?x=1")
    assert (answer.status, answer.body) == (500, b"Internal Server Error\n")
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert (record.levelname, record.message, record.path) == ("ERROR", "request failed", "/metrics")  # type: ignore[attr-defined]
    assert record.exc_info


def test_an_error_in_the_middle_cuts_the_answer_off(serve: Serve) -> None:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"half"
        raise ValueError

    answer = exchange(serve(app), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.endswith(b"4\r\nhalf\r\n")


def test_requests_are_logged_at_debug(
    serve: Serve,
    fetch: Fetch,
    caplog: pytest.LogCaptureFixture,
    eventually: Callable[[Callable[[], bool]], None],
) -> None:
    def logged() -> list[tuple[str, str, str]]:
        return [
            (record.method, record.path, record.status)  # type: ignore[attr-defined]
            for record in caplog.records
            if record.message == "request"
        ]

    with caplog.at_level(logging.DEBUG):
        fetch(serve(HELLO), "/page")
        eventually(lambda: logged() == [("GET", "/page", "200")])


def test_a_stop_lets_a_request_finish(fetch: Fetch) -> None:
    began, release = threading.Event(), threading.Event()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began.set()
        release.wait(10)
        return HELLO(environ, start_response)

    with WebServer(Address("127.0.0.1", 0), app) as server, ThreadPoolExecutor(2) as pool:
        answer = pool.submit(fetch, server)
        assert began.wait(10)
        stopped = pool.submit(server.stop)
        release.set()
        assert stopped.result()
        assert answer.result().body == b"hello\n"


def test_a_stop_does_not_wait_for_an_application_that_hangs(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "_STOP_GRACE_SECONDS", 0.1)
    began, release = threading.Event(), threading.Event()

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began.set()
        release.wait(10)
        return HELLO(environ, start_response)

    with WebServer(Address("127.0.0.1", 0), app) as server, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(fetch, server)
        assert began.wait(10)
        assert not server.stop(timeout=0.1)
        release.set()
        answer.exception()
    assert "a request is still running after the stop" in caplog.messages


def test_a_stop_is_quick_when_nothing_runs(serve: Serve) -> None:
    server = serve(HELLO)
    with closing(connect(server)):
        began = time.monotonic()
        assert server.stop()
        # A request would be waited for; a loaded machine takes a moment by itself.
        assert time.monotonic() - began < server_module.STOP_SECONDS


def test_stopping_twice_is_no_error(serve: Serve) -> None:
    server = serve(HELLO)
    assert server.stop()
    assert server.stop()


def test_when_clients_are_too_many_the_longest_silent_one_goes(
    serve: Serve, fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_MOST_CONNECTIONS", 3)
    server = serve(HELLO)
    with ExitStack() as stack:
        silent = [stack.enter_context(closing(connect(server))) for _ in range(10)]
        assert fetch(server).status == 200
        assert silent[0].recv(1) == b""


def test_five_hundred_connections_at_once_are_all_answered(serve: Serve) -> None:
    server = serve(HELLO)
    with ExitStack() as stack:
        socks = [stack.enter_context(closing(connect(server))) for _ in range(500)]
        for sock in socks:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert all(read_all(sock).endswith(b"hello\n") for sock in socks)
