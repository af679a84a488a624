"""Calls to real servers: how often, with which headers, and what is said of the end."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from compose_agent.address import Address
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.web.response import Response
from compose_agent.web.server import WebServer
from lab.receiver import ScriptedReceiver
from remediation.alertmanager import Alertmanager
from remediation.calls.caller import Caller
from remediation.calls.http import Http
from remediation.calls.notify import Notify

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

SECRET = "Bearer sesame-open"
WHO = {"policy": "p", "target": "container:web", "action": "restart", "result": "no help"}


def caller(alertmanager: Alertmanager | None = None, pauses: tuple[float, ...] = (0.01, 0.01)) -> Caller:
    calls = (Http(), Notify(lambda: alertmanager))
    return Caller({call.name: call for call in calls}, pauses=pauses)


def http(url: str, **more: Any) -> VerbRequest:
    return VerbRequest(id="i1.0", verb="http", target="container:web", arguments={"url": url, **more})


def notice(through: str, **more: Any) -> VerbRequest:
    arguments = {"through": through, "text": 'größe "\n', "at": 1_750_000_000.5, "labels": WHO, **more}
    return VerbRequest(id="i1.0", verb="notify", target="container:web", arguments=arguments)


@pytest.fixture
def receiver() -> Iterator[ScriptedReceiver]:
    with ScriptedReceiver() as started:
        yield started


def test_a_call_is_made_once_when_it_is_taken(receiver: ScriptedReceiver, tmp_path: Path) -> None:
    (secret := tmp_path / "key").write_text(f"{SECRET}\n")
    request = http(f"{receiver.url}?a=b", body='{"a": 1}', **{"header-file": str(secret), "header": "X-Key"})
    assert caller().perform(request) == Outcome(result=Result.DONE)
    (post,) = receiver.posts
    assert (post.method, post.path, post.body) == ("POST", "/webhook", {"a": 1})
    assert (post.headers["Idempotency-Key"], post.headers["X-Key"]) == ("i1.0", SECRET)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_a_call_has_its_method(receiver: ScriptedReceiver, method: str) -> None:
    receiver.answer(204)
    assert caller().perform(http(receiver.url, method=method)).result is Result.DONE
    assert [post.method for post in receiver.posts] == [method]


@pytest.mark.parametrize(("status", "times"), [(302, 1), (400, 1), (404, 1), (429, 1), (500, 3), (503, 3)])
def test_what_may_pass_is_tried_again_and_all_else_fails_at_once(
    receiver: ScriptedReceiver, status: int, times: int
) -> None:
    receiver.answer(status)
    outcome = caller().perform(http(receiver.url))
    assert outcome.result is Result.FAILED
    assert f"has answered {status}" in outcome.reason
    assert [post.headers["Idempotency-Key"] for post in receiver.posts] == ["i1.0"] * times


def test_a_server_that_comes_back_is_found(receiver: ScriptedReceiver) -> None:
    receiver.answer(503)
    ended: list[Outcome] = []
    patient = caller(pauses=(0.01,) * 10_000)
    thread = threading.Thread(target=lambda: ended.append(patient.perform(http(receiver.url))), daemon=True)
    thread.start()
    receiver.wait_for_posts(2)
    receiver.answer(200)
    thread.join(30)
    assert [each.result for each in ended] == [Result.DONE]


def test_nobody_there_is_a_sentence_without_path_and_query() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{taken.getsockname()[1]}"
        outcome = caller().perform(http(f"http://{server}/hooks/secret?token=secret"))
    assert outcome.result is Result.FAILED
    assert outcome.reason == (
        f"the server at http://{server} cannot be asked (Connection refused): "
        "check the url of the policy, and the server's log"
    )


def test_an_answer_is_waited_for_as_long_as_the_policy_says(receiver: ScriptedReceiver) -> None:
    receiver.answer(200, after=60)
    began = time.monotonic()
    outcome = caller(pauses=()).perform(http(receiver.url, timeout=0.2))
    assert outcome.result is Result.FAILED
    assert "has not answered within 0.2 s" in outcome.reason
    assert time.monotonic() - began < 30


def test_who_is_closed_lets_go_and_is_asked_again(receiver: ScriptedReceiver) -> None:
    receiver.answer(500)
    closing_caller = caller(pauses=(600,))

    def close() -> None:
        receiver.wait_for_posts(1)
        closing_caller.close()  # in the pause before the next attempt

    threading.Thread(target=close, daemon=True).start()
    with pytest.raises(ActorUnavailable, match="ask again with the same id"):
        closing_caller.perform(http(receiver.url))
    assert closing_caller.standing("i1.0") is Standing.UNKNOWN
    receiver.answer(200)
    assert caller().perform(http(receiver.url)).result is Result.DONE
    assert [post.headers["Idempotency-Key"] for post in receiver.posts] == ["i1.0", "i1.0"]


def mirror(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 403 with what was sent."""
    return Response.text(403, environ.get("HTTP_AUTHORIZATION", ""))(environ, start_response)


@pytest.mark.parametrize(
    "make",
    [
        lambda url, secret: http(url, **secret),
        lambda url, secret: notice("webhook", url=url, **secret),
        lambda url, secret: notice("grafana", url=url, **secret),
    ],
    ids=["http", "webhook", "grafana"],
)
def test_a_secret_is_in_no_outcome_and_no_log(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    make: Callable[[str, dict[str, str]], VerbRequest],
) -> None:
    caplog.set_level(logging.DEBUG)
    (file := tmp_path / "key").write_text(SECRET)
    with WebServer(Address("127.0.0.1", 0), mirror) as server:
        request = make(server.url, {"header-file": str(file)})
        outcome = caller().perform(request)
    assert "has answered 403 (***)" in outcome.reason
    said = [msgspec.json.encode(outcome).decode(), msgspec.json.encode(request).decode(), caplog.text]
    assert not any("sesame" in each for each in said)


def test_a_secret_that_is_not_there_is_waited_for_and_said(
    receiver: ScriptedReceiver, tmp_path: Path
) -> None:
    outcome = caller().perform(http(receiver.url, **{"header-file": str(tmp_path / "key")}))
    assert outcome.result is Result.FAILED
    assert "key: cannot be read" in outcome.reason
    assert receiver.posts == []


def test_a_webhook_gets_the_text_and_nothing_beside(receiver: ScriptedReceiver) -> None:
    assert caller().perform(notice("webhook", url=receiver.url)).result is Result.DONE
    (post,) = receiver.posts
    assert (post.method, post.body, post.headers["Idempotency-Key"]) == (
        "POST",
        {"text": 'größe "\n'},
        "i1.0",
    )


def test_grafana_gets_an_annotation_with_tags(receiver: ScriptedReceiver) -> None:
    base = receiver.url.removesuffix("webhook") + "grafana/"
    assert caller().perform(notice("grafana", url=base)).result is Result.DONE
    (post,) = receiver.posts
    assert (post.path, post.headers["Idempotency-Key"]) == ("/grafana/api/annotations", "i1.0")
    assert post.body == {
        "time": 1_750_000_000_500,
        "tags": [
            "compose-agent",
            "policy:p",
            "target:container:web",
            "action:restart",
            "result:no help",
        ],
        "text": 'größe "\n',
    }


def test_alertmanager_gets_an_alert(receiver: ScriptedReceiver) -> None:
    alertmanager = Alertmanager(receiver.url.removesuffix("/webhook"))
    assert caller(alertmanager).perform(notice("alertmanager")).result is Result.DONE
    (post,) = receiver.posts
    assert (post.path, post.headers["Idempotency-Key"]) == ("/api/v2/alerts", "i1.0")
    alerts: object = post.body
    assert alerts == [
        {"labels": {"alertname": "ComposeAgentAction", **WHO}, "annotations": {"summary": 'größe "\n'}}
    ]


def test_without_alertmanager_there_is_no_alert() -> None:
    outcome = caller().perform(notice("alertmanager"))
    assert (outcome.result, outcome.reason) == (
        Result.FAILED,
        "there is no Alertmanager: set remediation.alertmanager.url",
    )
