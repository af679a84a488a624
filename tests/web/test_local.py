from __future__ import annotations

import os
import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from compose_agent.errors import ComposeAgentError, ConfigError, InstanceRunning, ListenError, Problem
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server
from compose_agent.web.localclient import LocalClient, RoleNotRunning, RoleRefused
from compose_agent.web.response import Response, routed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from compose_agent.web.server import WebServer

STATE = Readiness("exporter", "0.1.0", 3, ("127.0.0.1:9417",), ("the Engine is not reachable",))


def reload(body: bytes) -> int:
    if body == b"bad":
        raise ConfigError([Problem("a.yml:1", "wrong"), Problem("a.yml:2", "also wrong")])
    if body == b"bug":
        raise ValueError("secret")
    return 4


def server_in(run_dir: Path, app: WSGIApplication | None = None) -> WebServer:
    return local_server(run_dir, "exporter", lambda: STATE, reload, app)


@pytest.fixture
def client(tmp_path: Path) -> Iterator[LocalClient]:
    def span(_environ: WSGIEnvironment) -> Response:
        return Response.json(200, f"{trace.get_current_span().get_span_context().trace_id:032x}")

    table = {"/v1/span": {"GET": span}, "/v1/text": {"GET": lambda _: Response.text(200, "no JSON")}}
    with server_in(tmp_path, routed(table)):
        yield LocalClient(tmp_path, "exporter")


def test_a_role_says_how_it_is(client: LocalClient) -> None:
    client.healthy()
    assert client.ready() == STATE


def test_a_reload_returns_the_revision(client: LocalClient) -> None:
    assert client.reload() == 4
    assert client.reload(b"{}") == 4


def test_a_refused_reload_lists_every_error(client: LocalClient) -> None:
    with pytest.raises(ConfigError) as caught:
        client.reload(b"bad")
    assert caught.value.problems == [Problem("a.yml:1", "wrong"), Problem("a.yml:2", "also wrong")]


def test_a_reload_that_fails_is_a_500(client: LocalClient) -> None:
    with pytest.raises(RoleRefused) as caught:
        client.reload(b"bug")
    assert str(caught.value) == "the role exporter answered POST /-/reload with 500 Internal Server Error"


def test_a_role_has_routes_of_its_own(client: LocalClient) -> None:
    assert client.get_json("/v1/span") == "0" * 32
    with pytest.raises(RoleRefused, match="answered GET /none with 404 not found"):
        client.get_json("/none")
    with pytest.raises(ComposeAgentError, match="was cut off or is not what it should be"):
        client.get_json("/v1/text")


def test_the_active_trace_goes_along(client: LocalClient) -> None:
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=TraceFlags(1)))
    token = context.attach(trace.set_span_in_context(span))
    try:
        assert client.get_json("/v1/span") == f"{0xABC:032x}"
    finally:
        context.detach(token)
    assert client.get_json("/v1/span") == "0" * 32


def test_only_owner_and_group_may_use_the_socket(tmp_path: Path) -> None:
    run_dir = tmp_path / "state" / "run"
    with server_in(run_dir):
        assert stat.S_IMODE(run_dir.stat().st_mode) == 0o750
        assert stat.S_IMODE((run_dir / "exporter.sock").stat().st_mode) == 0o660


def test_a_second_instance_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with server_in(tmp_path):
        with pytest.raises(InstanceRunning, match=f"in use by the process with pid {os.getpid()}"):
            server_in(tmp_path).bind()
        LocalClient(tmp_path, "exporter").healthy()


def test_of_many_that_start_at_once_one_wins(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)

    def start(_number: int) -> WebServer | None:
        server = server_in(tmp_path)
        barrier.wait()
        try:
            server.bind()
        except InstanceRunning:
            return None
        return server

    with ThreadPoolExecutor(8) as pool:
        bound = [server for server in pool.map(start, range(8)) if server]
    assert len(bound) == 1
    bound[0].start()
    LocalClient(tmp_path, "exporter").healthy()
    bound[0].stop()


def test_a_run_directory_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ListenError, match="name one that this user can write to with --run-dir"):
        server_in(tmp_path / "file" / "run")


def test_a_role_that_is_not_running_is_named_with_its_socket(tmp_path: Path) -> None:
    message = (
        f"the role exporter is not running: nobody listens on {tmp_path}/exporter.sock: "
        "start it with 'compose-agent run', or name its run directory with --run-dir"
    )
    for _ in ("no socket", "a dead one"):
        with pytest.raises(RoleNotRunning) as caught:
            LocalClient(tmp_path, "exporter").ready()
        assert str(caught.value) == message
        if not (tmp_path / "exporter.sock").exists():
            with closing(socket.socket(socket.AF_UNIX)) as dead:
                dead.bind(str(tmp_path / "exporter.sock"))


@contextmanager
def answering(path: Path, *pieces: bytes) -> Iterator[None]:
    """Serve one connection with the pieces, 50 ms apart, and then silence until the end."""
    done = threading.Event()
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with closing(connection), suppress(BrokenPipeError):  # who has waited long enough goes away
                connection.recv(65536)
                for piece in pieces:
                    if piece and not done.wait(0.05):
                        connection.sendall(piece)
                if b"" in pieces:
                    done.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        done.set()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"


@pytest.mark.parametrize(
    "pieces",
    [[b""], [HEAD, b"half", b""], [*(bytes([byte]) for byte in HEAD), b""]],
    ids=["silent", "half", "trickle"],
)
def test_no_whole_answer_in_time_is_an_error(tmp_path: Path, pieces: list[bytes]) -> None:
    with (
        answering(tmp_path / "exporter.sock", *pieces),
        pytest.raises(ComposeAgentError, match=r"did not answer on .* within 0.2 s"),
    ):
        LocalClient(tmp_path, "exporter", timeout=0.2).ready()


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        HEAD + b"half",
        HEAD + b"0123456789",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_an_answer_that_is_not_ours_is_an_error(tmp_path: Path, answer: bytes) -> None:
    with (
        answering(tmp_path / "exporter.sock", answer),
        pytest.raises(ComposeAgentError, match="was cut off or is not what it should be"),
    ):
        LocalClient(tmp_path, "exporter").ready()
