"""The client, against a server that answers as it is told; against real ones see tests/contract."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from compose_agent.address import Address
from compose_agent.matchers import Matcher
from compose_agent.web.response import Response
from compose_agent.web.server import WebServer
from remediation.alertmanager import Alertmanager, AlertmanagerError, Silence, Silences
from remediation.model import Source

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

ALERT = {
    "labels": {"alertname": "ContainerUnhealthy", "name": "shop-web-1"},
    "annotations": {"summary": "it is"},
    "startsAt": "2026-11-22T15:18:32.401Z",
    "endsAt": "2026-11-22T15:23:32.401Z",
    "updatedAt": "2026-11-22T15:18:32.402Z",
    "fingerprint": "8c5fe7e7575f50b7",
    "receivers": [{"name": "agent"}],
    "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
}


def silence(state: str = "active", **matcher: Any) -> dict[str, Any]:
    one = {"name": "name", "value": "shop-web-1", "isRegex": False, "isEqual": True, **matcher}
    return {"id": "s-1", "status": {"state": state}, "matchers": [one], "comment": "we are moving it"}


@dataclass
class Fake:
    """Notes what is asked, and answers with ``response``."""

    response: Response = field(default_factory=lambda: Response.json(200, []))
    asked: list[tuple[str, str, dict[str, list[str]], bytes]] = field(default_factory=list)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        query = parse_qs(environ["QUERY_STRING"])
        self.asked.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], query, body))
        return self.response(environ, start_response)


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def url(fake: Fake) -> Iterator[str]:
    with WebServer(Address("127.0.0.1", 0), fake) as server:
        yield server.url


@pytest.fixture
def client(url: str) -> Iterator[Alertmanager]:
    found = Alertmanager(url, seconds=30.0, most_bytes=10_000, clock=lambda: 7.0)
    yield found
    found.close()


def test_alerts_come_as_the_webhook_would_have_sent_them(fake: Fake, client: Alertmanager) -> None:
    fake.response = Response.json(200, [ALERT])
    (signal,) = client.alerts({"alertname": 'a"b\\c\nd', "größe": "x"}, "agent.1")
    assert (signal.source, signal.name, signal.firing) == (Source.ALERTMANAGER, "ContainerUnhealthy", True)
    assert (signal.fingerprint, signal.labels) == (ALERT["fingerprint"], ALERT["labels"])
    assert (signal.starts_at, signal.ends_at, signal.received_at) == (1_795_360_712.401, 0.0, 7.0)
    ((method, path, query, _),) = fake.asked
    assert (method, path) == ("GET", "/api/v2/alerts")
    assert query["filter"] == ['alertname="a\\"b\\\\c\\nd"', '"größe"="x"']
    assert query["receiver"] == ["agent\\.1"]
    assert (query["active"], query["silenced"], query["inhibited"]) == (["true"], ["false"], ["false"])


def test_only_active_silences_count(fake: Fake, client: Alertmanager) -> None:
    fake.response = Response.json(200, [silence("expired"), silence("pending"), silence(value="shop-db-1")])
    silences = client.silences()
    assert len(silences.active) == 1
    assert silences.of({"name": "shop-web-1"}) is None
    found = silences.of({"name": "shop-db-1"})
    assert found is not None
    assert (found.id, found.comment) == ("s-1", "we are moving it")


@pytest.mark.parametrize(
    ("matcher", "labels", "covered"),
    [
        ({}, {"name": "shop-web-1"}, True),
        ({}, {"name": "shop-web-2"}, False),
        ({"isEqual": False}, {"name": "shop-web-2"}, True),
        ({"value": "shop-.*", "isRegex": True}, {"name": "shop-web-2"}, True),
        ({"value": "shop", "isRegex": True}, {"name": "shop-web-2"}, False),
        ({"value": "shop-.*", "isRegex": True, "isEqual": False}, {"name": "db"}, True),
        ({"value": "(", "isRegex": True}, {"name": "db"}, True),
    ],
)
def test_which_labels_a_silence_covers(
    fake: Fake, client: Alertmanager, matcher: dict[str, Any], labels: dict[str, str], covered: bool
) -> None:
    fake.response = Response.json(200, [silence(**matcher)])
    assert (client.silences().of(labels) is not None) is covered


def test_all_matchers_of_a_silence_must_hold() -> None:
    both = Silence("s", "", [Matcher("a", "=", "1"), Matcher("b", "=", "2")])
    assert Silences([both]).of({"a": "1"}) is None
    assert Silences([both]).of({"a": "1", "b": "2"}) is both


def test_an_alert_of_our_own_is_raised(fake: Fake, client: Alertmanager) -> None:
    client.raise_alert({"alertname": "RemediationFailed"}, {"summary": "x"})
    client.raise_alert({"alertname": "RemediationFailed"}, {}, ends_at=1_795_360_712.401)
    (method, path, _, first), (*_, second) = fake.asked
    assert (method, path) == ("POST", "/api/v2/alerts")
    assert json.loads(first) == [
        {"labels": {"alertname": "RemediationFailed"}, "annotations": {"summary": "x"}}
    ]
    assert json.loads(second)[0]["endsAt"] == "2026-11-22T15:18:32.401+00:00"


def test_a_prefix_of_the_url_is_kept(fake: Fake, url: str) -> None:
    Alertmanager(f"{url}/prefix").silences()
    assert fake.asked[0][1] == "/prefix/api/v2/silences"


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (Response.text(503, "starting\nup"), "has answered 503 (starting up)"),
        (Response.text(302, "", ("Location", "http://127.0.0.1:1/")), "has answered 302"),
        (Response.text(200, "hello"), "is no answer of Alertmanager"),
        (Response.json(200, {"a": 1}), "Expected `array`"),
        (Response.json(200, [{"id": 1}]), "$[0].id"),
        (Response(200, b"[" * 9_000), "is no answer of Alertmanager"),
        (Response(200, b" " * 20_000), "has answered more than 10000 bytes"),
    ],
)
def test_what_is_no_answer_is_said_in_a_sentence(
    fake: Fake, client: Alertmanager, response: Response, said: str
) -> None:
    fake.response = response
    with pytest.raises(AlertmanagerError) as caught:
        client.silences()
    assert said in caught.value.message
    assert caught.value.remedy
    assert len(fake.asked) == 1


def test_after_an_error_the_next_answer_is_the_right_one(fake: Fake, client: Alertmanager) -> None:
    for _ in range(3):
        fake.response = Response(200, b" " * 20_000)
        with pytest.raises(AlertmanagerError):
            client.silences()
        fake.response = Response.json(200, [ALERT])
        assert len(client.alerts({})) == 1


def test_nobody_there_is_said_in_a_sentence() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(AlertmanagerError, match=r"cannot be asked \(Connection refused\)"):
            Alertmanager(url).silences()


def silent(connection: socket.socket) -> None:
    while connection.recv(65536):  # until whoever asks has had enough
        pass


def dripping(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b" ")
        time.sleep(0.05)


@pytest.mark.parametrize("behave", [silent, dripping])
def test_who_does_not_answer_in_time_is_given_up(behave: Callable[[socket.socket], None]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            with suppress(OSError):  # who has waited long enough goes away, even before it is accepted
                connection, _ = listener.accept()
                with connection:
                    behave(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        client = Alertmanager(f"http://127.0.0.1:{listener.getsockname()[1]}", seconds=0.3)
        with pytest.raises(AlertmanagerError, match=r"within 0\.3 s"):
            client.silences()
        client.close()
        thread.join(10)  # so that it closes nothing during another test
