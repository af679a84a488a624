"""What is asked of others in the background, against servers that answer as they are told."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from compose_agent.address import Address
from compose_agent.errors import StateError
from compose_agent.web.response import Response
from compose_agent.web.server import WebServer
from remediation.alertmanager import Alertmanager
from remediation.clients import Clients
from remediation.model import Signal
from remediation.outside import Outside
from remediation.prometheus import Prometheus
from remediation.receiver.alertmanager import Truncated

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

WAIT_SECONDS = 60.0


def alert(alertname: str, /, **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": alertname, **labels},
        "annotations": {},
        "startsAt": "2026-11-22T15:18:32.401Z",
        "fingerprint": f"fp-{alertname}",
    }


@dataclass
class Others:
    """Alertmanager and Prometheus in one; ``down`` answers 503."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        query = parse_qs(environ["QUERY_STRING"])
        if self.down:
            response = Response.text(503, "starting")
        elif environ["PATH_INFO"] == "/api/v2/alerts":
            self.asked.append(query)
            response = Response.json(200, self.alerts)
        elif environ["PATH_INFO"] == "/api/v2/silences":
            response = Response.json(200, [])
        else:
            response = _answer(query["query"][0])
        return response(environ, start_response)


def _answer(query: str) -> Response:
    if query == "wrong(":
        return Response.json(400, {"status": "error", "errorType": "bad_data", "error": "parse error"})
    result = {"resultType": "scalar", "result": [1.0, query]}
    return Response.json(200, {"status": "success", "data": result})


@dataclass
class Taken:
    """Takes alerts, or fails to."""

    signals: list[Signal] = field(default_factory=list)
    fails: bool = False
    times: int = 0

    def __call__(self, signals: list[Signal]) -> None:
        self.times += 1
        if self.fails:
            raise StateError("the disk is full")
        self.signals += signals

    @property
    def names(self) -> list[str]:
        """The names of the alerts that were taken."""
        return [signal.name for signal in self.signals]


@pytest.fixture
def others() -> Others:
    return Others()


@pytest.fixture
def url(others: Others) -> Iterator[str]:
    with WebServer(Address("127.0.0.1", 0), others) as server:
        yield server.url


@pytest.fixture
def taken() -> Taken:
    return Taken()


@pytest.fixture
def outside(url: str, taken: Taken) -> Iterator[Outside]:
    clients = Clients(Alertmanager(url, seconds=30), Prometheus(url, seconds=30))
    made = Outside(clients, taken, ask_seconds=0.05)
    yield made
    made.stop()


def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_fires_at_the_start_is_taken_once_and_own_alerts_are_not(
    others: Others, outside: Outside, taken: Taken
) -> None:
    others.alerts = [alert("A", name="web"), alert("ComposeAgentGaveUp"), alert("ComposeAgentAction")]
    outside.start()
    until(lambda: taken.names)
    time.sleep(0.5)  # some rounds more
    assert taken.names == ["A"]
    assert len(others.asked) == 1
    assert "receiver" not in others.asked[0]


def test_after_alertmanager_was_away_it_is_asked_for_what_was_missed(
    others: Others, outside: Outside, taken: Taken, caplog: pytest.LogCaptureFixture
) -> None:
    others.alerts = [alert("A")]
    outside.start()
    until(lambda: taken.names == ["A"])
    others.down = True
    until(lambda: "another program cannot be asked" in caplog.text and outside.error)
    others.alerts = [alert("A"), alert("B")]
    others.down = False
    until(lambda: taken.names == ["A", "A", "B"])
    until(lambda: not outside.error)


def test_what_could_not_be_kept_is_asked_for_again(others: Others, outside: Outside, taken: Taken) -> None:
    others.alerts, taken.fails = [alert("A")], True
    outside.start()
    until(lambda: taken.times > 1)
    taken.fails = False
    until(lambda: taken.names == ["A"])


def test_many_alerts_are_taken_in_parts(others: Others, outside: Outside, taken: Taken) -> None:
    others.alerts = [alert(f"A{number}") for number in range(1201)]
    outside.start()
    until(lambda: len(taken.names) == 1201)
    assert taken.times == 3


def test_what_a_notification_left_out_is_fetched(others: Others, outside: Outside, taken: Taken) -> None:
    outside.start()
    until(lambda: others.asked)
    others.alerts = [alert("B")]
    outside.truncated(Truncated(receiver="agent", group_labels={"team": "shop"}, number=1))
    until(lambda: taken.names == ["B"])
    assert others.asked[1]["filter"] == ['team="shop"']
    assert others.asked[1]["receiver"] == ["agent"]


def test_another_alertmanager_is_asked_for_everything_too(others: Others, outside: Outside, url: str) -> None:
    outside.start()
    until(lambda: others.asked)
    outside.change(Clients(Alertmanager(url)))
    until(lambda: len(others.asked) == 2)


def test_queries_are_answered_while_alertmanager_is_not_there_and_one_of_them_is_wrong(
    url: str, taken: Taken
) -> None:
    nobody = Alertmanager("http://127.0.0.1:1")
    outside = Outside(Clients(nobody, Prometheus(url, seconds=30)), taken)
    outside.start()
    for query in ("wrong(", "1", "0"):
        assert outside.holds(query) is None
    until(lambda: (outside.holds("1"), outside.holds("0")) == (True, False))
    assert outside.holds("wrong(") is None
    outside.stop()
    assert not [each for each in threading.enumerate() if each.name == "outside" and each.is_alive()]
