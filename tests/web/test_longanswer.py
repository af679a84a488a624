"""Answers without an end: who hears that the client is gone, and how a client hears that an answer broke."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from compose_agent.web import _streams
from compose_agent.web.longanswer import CLIENT, AnswerCutOff, HangUps
from compose_agent.web.response import Response
from tests.web.conftest import Serve
from tests.web.wire import connect, exchange, read_all

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class End:
    """One end of a pair of sockets, as a client's connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        return self._sock.fileno()

    def be_patient(self, seconds: float) -> None: ...


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("leave", [lambda sock: sock.close(), lambda sock: sock.shutdown(socket.SHUT_WR)])
@pytest.mark.parametrize("before", [True, False])
def test_who_leaves_is_noticed_once(
    pair: tuple[socket.socket, socket.socket], leave: Callable[[socket.socket], None], before: bool
) -> None:
    ours, theirs = pair
    heard = threading.Event()
    calls: list[None] = []
    hang_ups = HangUps()
    if before:
        leave(theirs)

    def hear() -> None:
        calls.append(None)
        heard.set()

    with hang_ups.call(End(ours), hear):
        if not before:
            leave(theirs)
        assert heard.wait(10)
        time.sleep(0.1)
    assert calls == [None]


def test_who_only_sends_has_not_left_and_who_leaves_later_is_nobodys_business(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, theirs = pair
    calls: list[None] = []
    hang_ups = HangUps()
    with hang_ups.call(End(ours), lambda: calls.append(None)):
        theirs.sendall(b"more")
        time.sleep(0.1)
    theirs.close()
    # The thread still serves another one, so it would have served this.
    heard = threading.Event()
    one, other = socket.socketpair()
    with one, hang_ups.call(End(one), heard.set):
        other.close()
        assert heard.wait(10)
    assert calls == []


def test_an_answer_that_breaks_has_no_end_mark(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def app(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        yield b"first"
        raise AnswerCutOff("the rest is gone")

    answer = exchange(serve(app), ASK)
    assert answer.endswith(b"5\r\nfirst\r\n")
    assert [each for each in caplog.records if each.levelname in {"ERROR", "WARNING"}] == []


def test_patience_is_for_one_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    monkeypatch.setattr(_streams, "STALL_SECONDS", 0.2)
    body = bytes(20_000_000)

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[CLIENT].be_patient(10.0 if environ["PATH_INFO"] == "/patient" else 0.0)
        return Response(200, body)(environ, start_response)

    server = serve(app)
    http = server._http
    assert http is not None
    for path, whole in (("patient", True), ("other", False)):
        with closing(connect(server)) as sock:
            sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
            assert sock.recv(1) == b"H"  # the answer has begun
            if whole:
                time.sleep(1.0)  # longer than others may stall
            else:
                eventually(lambda: not http._open)
            assert (len(read_all(sock)) > len(body)) is whole
