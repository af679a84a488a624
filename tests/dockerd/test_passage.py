"""Answers that are passed on as they come, whatever their status, and no longer than wanted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.fake import FakeEngine, Fault
from compose_agent.errors import EngineGarbage, EngineTimeout, EngineUnreachable

PATIENCE_SECONDS = 20.0


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started
        started.clear_faults()


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[EngineClient]:
    made = EngineClient(Endpoint(engine.url, "test"))
    yield made
    made.close()


def test_an_answer_is_passed_on_with_its_status_and_headers(client: EngineClient) -> None:
    passage = client.pass_on("GET", "/v1.41/containers/nobody/json", [], 10.0)
    assert (passage.status, passage.header("api-version"), passage.header("X")) == (404, "1.51", None)
    assert "No such container" in json.loads(passage.body(1000))["message"]


def test_parameters_are_encoded(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_container("web", labels={"a b": "c&d"})
    query = [("all", "1"), ("filters", '{"label":["a b=c&d"]}')]
    assert len(json.loads(client.pass_on("GET", "/containers/json", query, 10.0).body(100_000))) == 1


def test_one_connection_serves_answer_after_answer(engine: FakeEngine, client: EngineClient) -> None:
    for _ in range(20):
        client.pass_on("GET", "/info", [], 10.0).body(100_000)
    assert engine._listener is not None
    assert len(engine._listener._connections) == 1


def test_too_long_an_answer_is_not_kept(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_fault(Fault("GET /info", "wrong", times=1, body='"' + "x" * 200_000 + '"'))
    with pytest.raises(EngineGarbage, match="more than 1000 bytes"):
        client.pass_on("GET", "/info", [], 10.0).body(1000)
    client.pass_on("GET", "/info", [], 10.0).body(100_000)


def test_an_answer_that_breaks_off_is_an_error(engine: FakeEngine, client: EngineClient) -> None:
    engine.add_fault(Fault("GET /info", "reset-body", times=1, after=10))
    with pytest.raises(EngineUnreachable, match="broke off"):
        client.pass_on("GET", "/info", [], 10.0).body(100_000)


def test_an_engine_that_says_nothing_is_waited_for_within_bounds(
    engine: FakeEngine, client: EngineClient
) -> None:
    engine.freeze()
    with pytest.raises(EngineTimeout):
        client.pass_on("GET", "/info", [], 0.2)
    engine.thaw()


def test_a_stream_outlives_its_deadline_and_ends_when_it_is_closed(
    engine: FakeEngine, client: EngineClient
) -> None:
    passage = client.pass_on("GET", "/events", [], 2.0)
    passage.wait_for_ever()
    threading.Timer(2.5, engine.add_container, ["late"]).start()
    threading.Timer(5.0, passage.close).start()
    started = time.monotonic()
    pieces = passage.chunks()
    assert b'"create"' in next(pieces)
    with pytest.raises(EngineUnreachable):
        b"".join(pieces)
    assert time.monotonic() - started < PATIENCE_SECONDS


def test_closing_what_was_read_touches_no_other_answer(engine: FakeEngine, client: EngineClient) -> None:
    first = client.pass_on("GET", "/info", [], 10.0)
    first.body(100_000)
    second = client.pass_on("GET", "/events", [], 10.0)  # over the same connection
    second.wait_for_ever()
    first.close()
    engine.add_container("web", running=False)
    assert b'"create"' in next(second.chunks())
