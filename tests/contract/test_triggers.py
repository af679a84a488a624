"""What the log forwarder's sink may rely on, of the fake that its tests use and of the real role's route."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from compose_agent.address import UnixAddress
from compose_agent.cloudevents import CONTENT_TYPE, PATH
from compose_agent.web.localclient import LocalClient
from compose_agent.web.places import socket_path
from compose_agent.web.response import routed
from compose_agent.web.server import WebServer
from log_forwarder.fake.triggers import FakeTriggers
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import SinkContext
from remediation.journal import Journal
from remediation.model import Signal, Source
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.routes import Receiver, trigger_routes
from tests.log_forwarder.making import ID, container, make_batch
from tests.log_forwarder.sinks.courier import Delivery, dead_letters
from tests.log_forwarder.transforms.building import event

ROLE = "remediation"
TRIGGER: dict[str, Any] = {"specversion": "1.0", "id": "a/b", "source": "/hosts/h", "type": "t", "data": {}}
# What the role has taken, once each: source and id.
Taken = Callable[[], list[str]]


@contextmanager
def fake(folder: Path) -> Iterator[Taken]:
    with FakeTriggers(socket_path(folder, ROLE)) as role:
        yield lambda: [f"{each['source']} {each['id']}" for each in role.triggers]


@contextmanager
def real(folder: Path) -> Iterator[Taken]:
    with ExitStack() as stack:
        journal = Journal(folder)
        stack.callback(journal.close)
        receiver = Receiver(journal.receive, Doors(Access(), 1 << 20))
        server = WebServer(UnixAddress(socket_path(folder, ROLE)), routed(trigger_routes(receiver)))
        stack.enter_context(server)
        yield lambda: [signal.fingerprint for signal in inbox(journal)]


def inbox(journal: Journal) -> list[Signal]:
    return [signal for _, signal in journal.read(lambda view: view.inbox(1000)) if signal]


@pytest.fixture(params=[fake, real], ids=["fake", "real"])
def taken(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Taken]:
    """A role in the test's folder, and what it has taken."""
    with request.param(tmp_path) as taken:
        yield taken


def post(folder: Path, body: object, *, kind: str = CONTENT_TYPE, path: str = PATH) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    client = LocalClient(folder, ROLE, 60.0)
    status, answer = client.request("POST", path, data, {"Content-Type": kind})
    return status, answer.decode()


def test_a_trigger_is_taken_and_so_is_the_same_again(taken: Taken, tmp_path: Path) -> None:
    assert [post(tmp_path, TRIGGER)[0] for _ in range(2)] == [202, 202]
    assert set(taken()) == {"/hosts/h a/b"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "truncated"),
        (b"\xff", ""),
        ([], "expected a JSON object"),
        ({**TRIGGER, "specversion": "0.3"}, "specversion: expected 1.0, not 0.3"),
        ({**TRIGGER, "id": ""}, "id: expected a text"),
        ({**TRIGGER, "time": "2026-01-02T03:04:05"}, "time: expected a zone"),
        ({**TRIGGER, "trace_id": "x"}, "trace_id: no attribute has such a name"),
        ({**TRIGGER, "data": "x"}, "data: expected an object"),
    ],
)
def test_what_is_no_trigger_is_refused_with_the_reason(
    taken: Taken, tmp_path: Path, body: object, said: str
) -> None:
    status, answer = post(tmp_path, body)
    assert (status, said in answer) == (400, True)
    assert taken() == []


def test_other_types_and_paths_are_refused(taken: Taken, tmp_path: Path) -> None:
    assert post(tmp_path, TRIGGER, kind="application/json")[0] == 415
    assert post(tmp_path, TRIGGER, path="/v1/other")[0] == 404
    assert taken() == []


def test_lines_that_match_arrive_whole(taken: Taken, tmp_path: Path) -> None:
    batch = make_batch()
    logs = ["fine", "out of memory: killed 7", "größe \x1b[31m out of memory \x00 \u2028"]
    batch.events = [event(log, number, at=float(number)) for number, log in enumerate(logs)]
    word = parse("remediation://")
    context = SinkContext("remediation", "host-1", tmp_path, tmp_path, {"oom": re.compile("out of memory")})
    tally = Delivery(make_sink(word, context), tmp_path, [batch]).finish()
    assert (tally.sent, tally.dropped, dead_letters(tmp_path)) == (2, {"no_match": 1}, [])
    source = f"/hosts/host-1/containers/{ID}"
    assert taken() == [f"{source} {each.id}/oom" for each in batch.events[1:]]


def test_a_line_becomes_a_signal_about_its_container(tmp_path: Path) -> None:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    batch = make_batch(of=container(labels=labels))
    batch.events = [event("out of memory", at=5.25)]
    context = SinkContext("remediation", "host-1", tmp_path, tmp_path, {"oom": re.compile("out of memory")})
    journal = Journal(tmp_path)
    try:
        receiver = Receiver(journal.receive, Doors(Access(), 1 << 20))
        address = UnixAddress(socket_path(tmp_path, ROLE))
        with WebServer(address, routed(trigger_routes(receiver))):
            Delivery(make_sink(parse("remediation://"), context), tmp_path, [batch]).finish()
        (signal,) = inbox(journal)
    finally:
        journal.close()
    assert (signal.source, signal.name, signal.firing) == (Source.TRIGGER, "io.compose-agent.log.match", True)
    assert signal.starts_at % 60 == 5.25
    assert {key: signal.labels[key] for key in ("name", "compose_project", "compose_service", "pattern")} == {
        "name": "shop-web-1",
        "compose_project": "shop",
        "compose_service": "web",
        "pattern": "oom",
    }
