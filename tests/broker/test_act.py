"""The act socket: a request that is exactly one gets through, anything else is refused with nothing done."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import Any

import pytest

from broker.act import LIMITS, MOST_AT_ONCE
from broker.metrics import BrokerMetrics
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from tests.broker.conftest import RememberingActor, Socket, eventually

ID = "4f" * 32
GOOD = {"id": "i-1", "verb": "restart", "target": ID}
TYPED = "Content-Type: application/json\r\n"


def post(sock: Socket, body: bytes, headers: str = TYPED, line: str = "POST /v1/verbs") -> tuple[int, Any]:
    status, answer = sock.ask(line, f"{headers}Content-Length: {len(body)}\r\n", body)
    return status, json.loads(answer) if answer.startswith(b"{") else answer


@pytest.mark.parametrize(
    "request_",
    [
        GOOD,
        {**GOOD, "arguments": {"timeout": 10, "ratio": 0.5, "force": True, "names": ["a"], "none": None}},
        {**GOOD, "reason": "ContainerUnhealthy: é"},
        {**GOOD, "verb": "compose_scale", "target": "shop/web_1.a-b", "arguments": {"replicas": 3}},
        {**GOOD, "verb": "swarm_scale", "target": "abcdefghij0123456789klmno"},
        {**GOOD, "id": "0:a.b_c-d"},
    ],
)
def test_a_request_is_performed_and_its_outcome_answered(
    act_socket: Socket, actor: RememberingActor, request_: dict[str, Any]
) -> None:
    status, answer = post(act_socket, json.dumps(request_).encode())
    assert (status, answer["result"]) == (200, "done")
    asked = actor.asked[0]
    assert {name: getattr(asked, name) for name in request_} == request_


@pytest.mark.parametrize(
    "change",
    [
        {"id": ""},
        {"id": "-1"},
        {"id": "a b"},
        {"id": "a\n"},
        {"id": "a/b"},
        {"id": "a" * 129},
        {"id": 1},
        {"verb": ""},
        {"verb": "container_create"},
        {"verb": "RESTART"},
        {"verb": None},
        {"target": ""},
        {"target": "web"},
        {"target": ID[:12]},
        {"target": ID.upper()},
        {"target": f"{ID}\n"},
        {"target": f" {ID}"},
        {"target": "a/b/c"},
        {"target": "../b"},
        {"target": "a/../b"},
        {"target": "a/"},
        {"target": "/a"},
        {"target": "A/b"},
        {"target": "a/b;rm"},
        {"target": "a/b%2f"},
        {"target": [ID]},
        {"target": "shop/web"},
        {"verb": "compose_scale"},
        {"verb": "compose_scale", "target": "a/../b"},
        {"verb": "compose_scale", "target": "a/"},
        {"verb": "compose_scale", "target": "/a"},
        {"verb": "compose_scale", "target": "A/b"},
        {"verb": "compose_scale", "target": "a/b;rm"},
        {"verb": "compose_scale", "target": "a/b%2f"},
        {"verb": "compose_scale", "target": "a/b\n"},
        {"verb": "swarm_scale"},
        {"verb": "swarm_scale", "target": "shop/web"},
        {"arguments": []},
        {"arguments": None},
        {"arguments": {"A": 1}},
        {"arguments": {"a b": 1}},
        {"arguments": {"a": {"b": 1}}},
        {"arguments": {"a": [[1]]}},
        {"arguments": {"a": [1]}},
        {"arguments": {"a": "x" * 257}},
        {"arguments": {f"a{n}": n for n in range(17)}},
        {"reason": "x" * 1025},
        {"HostConfig": {"Privileged": True}},
        {"Verb": "restart"},
    ],
)
def test_a_request_without_its_form_is_refused(
    act_socket: Socket, actor: RememberingActor, change: dict[str, Any]
) -> None:
    status, answer = post(act_socket, json.dumps({**GOOD, **change}).encode())
    assert (status, list(answer)) == (400, ["message"])
    assert actor.asked == []


@pytest.mark.parametrize("name", GOOD)
def test_a_request_lacks_nothing(act_socket: Socket, actor: RememberingActor, name: str) -> None:
    rest = {key: value for key, value in GOOD.items() if key != name}
    assert post(act_socket, json.dumps(rest).encode())[0] == 400
    assert actor.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"id": "\xff"}',
        b"[" * 60_000,
        json.dumps(GOOD).encode() * 2,
        json.dumps(GOOD).encode("utf-16"),
        json.dumps({**GOOD, "arguments": {"a": 1}}).encode().replace(b"1}", b"1e999}"),
    ],
)
def test_what_is_no_json_of_a_request_is_refused(
    act_socket: Socket, actor: RememberingActor, body: bytes
) -> None:
    assert post(act_socket, body)[0] == 400
    assert actor.asked == []


@pytest.mark.parametrize(
    ("line", "headers", "status"),
    [
        ("GET /v1/verbs", TYPED, 404),
        ("PUT /v1/verbs", TYPED, 404),
        ("DELETE /v1/verbs/i-1", TYPED, 404),
        ("POST /v1/verbs/", TYPED, 404),
        ("POST /v1/verbs?x=1", TYPED, 404),
        ("POST //v1/verbs", TYPED, 404),
        ("POST /v1/%76erbs", TYPED, 404),
        ("POST /v1/verbs/../verbs", TYPED, 404),
        ("POST http://localhost/v1/verbs", TYPED, 400),
        ("POST /containers/create", TYPED, 404),
        ("GET /containers/json", "", 404),
        ("GET /v1/verbs/a/b", "", 404),
        ("GET /v1/verbs/a%2fb", "", 404),
        ("GET /v1/verbs/" + "a" * 129, "", 404),
        ("POST /v1/verbs", "", 400),
        ("POST /v1/verbs", "Content-Type: text/plain\r\n", 400),
        ("POST /v1/verbs", TYPED + "Transfer-Encoding: chunked\r\n", 400),
    ],
)
def test_another_way_of_asking_is_refused(
    act_socket: Socket, actor: RememberingActor, line: str, headers: str, status: int
) -> None:
    assert post(act_socket, json.dumps(GOOD).encode(), headers, line)[0] == status
    assert actor.asked == []


def test_a_body_beyond_the_bound_is_refused_unread(act_socket: Socket, actor: RememberingActor) -> None:
    status, _ = act_socket.ask("POST /v1/verbs", f"{TYPED}Content-Length: {LIMITS.body_bytes + 1}\r\n")
    assert status == 413
    assert actor.asked == []


def test_half_a_body_is_no_request(act_socket: Socket, actor: RememberingActor) -> None:
    body = json.dumps(GOOD).encode()
    with closing(act_socket.connect()) as sock:
        head = f"POST /v1/verbs HTTP/1.1\r\n{TYPED}Content-Length: {len(body) + 9}\r\n\r\n"
        sock.sendall(head.encode() + body)
        sock.shutdown(1)
        answer = sock.recv(65536)
    assert not answer.startswith(b"HTTP/1.1 200")
    assert actor.asked == []


def test_how_an_id_stands_is_told_without_doing_anything(act_socket: Socket) -> None:
    assert act_socket.ask("GET /v1/verbs/i-1") == (200, b'{"standing": "unknown"}\n')
    post(act_socket, json.dumps(GOOD).encode())
    assert act_socket.ask("GET /v1/verbs/i-1") == (200, b'{"standing": "ended"}\n')


def test_an_actor_that_is_away_is_503(
    act_socket: Socket, actor: RememberingActor, metrics: BrokerMetrics
) -> None:
    actor.fault = ActorUnavailable("the journal cannot be written", remedy="free space")
    status, answer = post(act_socket, json.dumps(GOOD).encode())
    assert (status, answer["message"]) == (503, "the journal cannot be written: free space")
    assert act_socket.ask("GET /v1/verbs/i-1")[0] == 503
    assert b'broker_verbs_total{result="unavailable",verb="restart"} 1.0' in metrics.text(openmetrics=False)


def test_verbs_under_way_leave_room_for_questions(act_socket: Socket, actor: RememberingActor) -> None:
    release = threading.Event()
    actor.before = release.wait
    waiting = [
        threading.Thread(target=post, args=(act_socket, json.dumps({**GOOD, "id": f"i-{n}"}).encode()))
        for n in range(MOST_AT_ONCE)
    ]
    for thread in waiting:
        thread.start()
    eventually(lambda: len(actor.asked) == MOST_AT_ONCE, "not all are under way")
    status, answer = post(act_socket, json.dumps({**GOOD, "id": "one-more"}).encode())
    assert (status, "again later" in answer["message"]) == (503, True)
    assert act_socket.ask("GET /v1/verbs/i-0") == (200, b'{"standing": "started"}\n')
    release.set()
    for thread in waiting:
        thread.join()
    assert len(actor.outcomes) == MOST_AT_ONCE
