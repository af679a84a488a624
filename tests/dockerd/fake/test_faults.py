"""What the fake Engine does wrong on request."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine, Fault

PATIENCE_SECONDS = 10.0


class Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float = PATIENCE_SECONDS) -> None:
        super().__init__("engine", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


Ask = Callable[..., http.client.HTTPResponse]


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


@pytest.fixture
def ask(engine: FakeEngine) -> Iterator[Ask]:
    opened: list[Connection] = []

    def ask(
        method: str, path: str, body: dict[str, Any] | None = None, timeout: float = PATIENCE_SECONDS
    ) -> http.client.HTTPResponse:
        opened.append(Connection(str(engine.socket), timeout))
        text = None if body is None else json.dumps(body)
        opened[-1].request(method, path, text, {"Content-Type": "application/json"})
        return opened[-1].getresponse()

    yield ask
    for connection in opened:
        connection.close()


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_error_comes_as_often_as_asked_and_then_no_more(engine: FakeEngine, ask: Ask) -> None:
    engine.add_fault(Fault("GET /info", "error", times=2, status=503, message="too busy"))
    answers = [ask("GET", path) for path in ("/info", "/v1.51/info", "/info")]
    assert [answer.status for answer in answers] == [503, 503, 200]
    assert json.loads(answers[0].read()) == {"message": "too busy"}


def test_a_pattern_hits_its_route_only(engine: FakeEngine, ask: Ask) -> None:
    one = engine.add_container("web")
    engine.add_fault(Fault("GET /containers/*/json", "error"))
    assert ask("GET", f"/containers/{one}/json").status == 500
    assert ask("GET", "/containers/json").status == 200


@pytest.mark.parametrize("kind", ["reset", "reset-body"])
def test_a_reset_breaks_the_answer_off(engine: FakeEngine, ask: Ask, kind: Any) -> None:
    engine.add_fault(Fault("GET /version", kind, times=1))
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        ask("GET", "/version").read()
    assert ask("GET", "/version").status == 200


@pytest.mark.parametrize("kind", ["truncate", "garbage"])
def test_a_body_that_is_whole_in_length_but_no_json(engine: FakeEngine, ask: Ask, kind: Any) -> None:
    engine.add_fault(Fault("GET /version", kind))
    answer = ask("GET", "/version")
    assert answer.status == 200
    with pytest.raises(ValueError, match=r".*"):
        json.loads(answer.read())


def test_json_of_another_shape(engine: FakeEngine, ask: Ask) -> None:
    engine.add_fault(Fault("GET /info", "wrong", body='["surprise"]'))
    assert json.loads(ask("GET", "/info").read()) == ["surprise"]


def test_slow_before_the_head_and_between_bytes(engine: FakeEngine, ask: Ask) -> None:
    engine.add_fault(Fault("GET /info", "slow", seconds=0.2))
    engine.add_fault(Fault("GET /_ping", "slow-body", seconds=0.1))
    began = time.monotonic()
    ask("GET", "/info")
    assert time.monotonic() - began >= 0.2
    began = time.monotonic()
    assert ask("GET", "/_ping").read() == b"OK"
    assert time.monotonic() - began >= 2 * 0.1


def test_what_hangs_is_let_go_when_faults_are_cleared(engine: FakeEngine, ask: Ask) -> None:
    engine.add_fault(Fault("GET /info", "hang", times=1))
    with pytest.raises(TimeoutError):
        ask("GET", "/info", timeout=0.1)
    engine.add_fault(Fault("GET /version", "hang", times=1))

    def clear() -> None:
        until(lambda: not engine.core.faults._active)  # it hangs
        engine.clear_faults()

    let_go = threading.Thread(target=clear)
    let_go.start()
    with pytest.raises(http.client.RemoteDisconnected):
        ask("GET", "/version")
    let_go.join()
    assert ask("GET", "/info").status == 200


@pytest.mark.parametrize(("acts", "status"), [(True, "exited"), (False, "running")])
def test_the_answer_may_be_lost_with_or_without_the_deed(
    engine: FakeEngine, ask: Ask, acts: bool, status: str
) -> None:
    one = engine.add_container("web")
    engine.add_fault(Fault("POST /containers/*/stop", "reset", acts=acts))
    with pytest.raises(http.client.RemoteDisconnected):
        ask("POST", f"/containers/{one}/stop")
    assert engine.inspect(one)["State"]["Status"] == status


def test_a_stream_of_events_can_break_in_the_middle(engine: FakeEngine, ask: Ask) -> None:
    engine.add_container("web")
    engine.add_fault(Fault("GET /events", "reset-body", after=30, times=1))
    with pytest.raises(http.client.IncompleteRead):
        ask("GET", "/events?since=1").read()


def test_dropped_events_leave_a_gap_that_nobody_is_told_of(engine: FakeEngine, ask: Ask) -> None:
    one = engine.add_container("web", network="none")
    engine.drop_events(1, "container die")
    engine.die(one, 3)
    text = ask("GET", f"/events?since=1&until={time.time():.6f}").read()
    said = [json.loads(line)["Action"] for line in text.splitlines()]
    assert "die" not in said
    assert said[-1] == "disconnect"
    assert engine.inspect(one)["State"]["ExitCode"] == 3


def test_a_fault_on_everything_drops_no_event(engine: FakeEngine, ask: Ask) -> None:
    engine.add_fault(Fault("*", "error"))
    engine.add_container("web")
    engine.clear_faults()
    text = ask("GET", f"/events?since=1&until={time.time():.6f}").read()
    assert len(text.splitlines()) == 3


def test_a_frozen_engine_accepts_and_says_nothing_until_thawed(engine: FakeEngine, ask: Ask) -> None:
    engine.freeze()
    with pytest.raises(TimeoutError):
        ask("GET", "/_ping", timeout=0.1)
    thaw = threading.Timer(0.1, engine.thaw)
    thaw.start()
    assert ask("GET", "/_ping").status == 200
    thaw.join()


def test_a_frozen_stream_gets_what_it_missed_when_thawed(engine: FakeEngine, ask: Ask) -> None:
    stream = ask("GET", "/events")
    engine.freeze()
    engine.add_container("web")
    engine.thaw()
    assert json.loads(stream.readline())["Action"] == "create"


def test_a_restarted_engine_breaks_connections_and_forgets_events(engine: FakeEngine, ask: Ask) -> None:
    kept = engine.add_container("kept", restart="always")
    gone = engine.add_container("gone")
    stream = ask("GET", "/events")
    engine.restart_engine()
    with suppress(http.client.IncompleteRead, ConnectionResetError):
        assert stream.read() == b""
    text = ask("GET", f"/events?since=1&until={time.time():.6f}").read()
    assert [json.loads(line)["Action"] for line in text.splitlines()] == ["connect", "start"]
    assert engine.inspect(kept)["State"]["Running"]
    assert engine.inspect(gone)["State"]["Status"] == "exited"


def test_live_restore_lets_containers_run_on() -> None:
    with FakeEngine(live_restore=True) as engine:
        before = engine.inspect(engine.add_container("web"))["State"]
        engine.restart_engine()
        assert engine.inspect("web")["State"] == before


def test_a_stopped_engine_has_no_socket(engine: FakeEngine, ask: Ask) -> None:
    engine.stop_engine()
    with pytest.raises(FileNotFoundError):
        ask("GET", "/_ping")
    engine.start_engine()
    assert ask("GET", "/_ping").status == 200


def test_requests_are_counted_without_their_version(engine: FakeEngine, ask: Ask) -> None:
    for path in ("/info", "/v1.51/info", "/v1.44/info", "/version"):
        ask("GET", path)
    assert engine.requests() == {"GET /info": 3, "GET /version": 1}


class TestControlOverTheSocket:
    def test_faults(self, ask: Ask) -> None:
        assert ask("POST", "/_fake/faults", {"route": "GET /info", "kind": "error"}).status == 204
        assert ask("GET", "/info").status == 500
        assert ask("DELETE", "/_fake/faults").status == 204
        assert ask("GET", "/info").status == 200

    def test_requests(self, ask: Ask) -> None:
        ask("GET", "/info")
        assert json.loads(ask("GET", "/_fake/requests").read()) == [
            {"method": "GET", "path": "/info", "count": 1}
        ]
        ask("DELETE", "/_fake/requests")
        assert json.loads(ask("GET", "/_fake/requests").read()) == []

    def test_it_works_while_frozen(self, ask: Ask) -> None:
        assert ask("POST", "/_fake/freeze").status == 204
        assert ask("POST", "/_fake/thaw").status == 204
        assert ask("GET", "/_ping").status == 200

    def test_containers(self, engine: FakeEngine, ask: Ask) -> None:
        engine.add_container("web", healthcheck=True)
        ask("POST", "/_fake/containers/web/health?status=unhealthy")
        assert engine.inspect("web")["State"]["Health"]["Status"] == "unhealthy"
        ask("POST", "/_fake/containers/web/oom?child=1")
        assert engine.inspect("web")["State"]["OOMKilled"]
        ask("POST", "/_fake/containers/web/behaviour", {"term_exit_code": 9})
        ask("POST", "/containers/web/stop")
        assert engine.inspect("web")["State"]["ExitCode"] == 9

    @pytest.mark.parametrize("body", [{"route": "GET /info"}, {"kind": "error", "colour": "blue"}])
    def test_what_is_no_fault_is_refused(self, ask: Ask, body: dict[str, Any]) -> None:
        answer = ask("POST", "/_fake/faults", body)
        assert answer.status == 400
        assert json.loads(answer.read())["message"].startswith("not a Fault: ")


def test_a_client_that_leaves_a_stream_is_forgotten(engine: FakeEngine) -> None:
    connection = Connection(str(engine.socket))
    connection.request("GET", "/events")
    connection.getresponse().close()
    assert len(engine.core.events.listeners) == 1
    connection.close()
    until(lambda: not engine.core.events.listeners)


def test_what_is_under_way_ends_with_the_engine(engine: FakeEngine, ask: Ask) -> None:
    engine.add_container("web", behaviour=Behaviour(ignores_term=True))
    with ThreadPoolExecutor(1) as pool:
        restart = pool.submit(ask, "POST", "/containers/web/restart?t=30")
        while not any(event.action == "kill" for event in engine.core.events.since(1, None)):
            time.sleep(0.005)
        engine.restart_engine()
        with pytest.raises(ConnectionResetError):
            restart.result()
    assert engine.inspect("web")["State"]["Status"] == "exited"
    assert engine.core.events.since(1, None) == []
