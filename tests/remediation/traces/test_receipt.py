from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.tracing import pipeline
from compose_agent.tracing.context import parse
from compose_agent.tracing.pipeline import Pipeline
from compose_agent.tracing.records import ERROR, SERVER, Span
from remediation.receiver.refusal import Refusal, Why
from remediation.traces.receipt import receipt, reply, traceparent
from tests.tracing.conftest import settings

TRACE, PARENT = "1" * 32, "2" * 16
# As Alertmanager sends it unless its sampling_fraction is set.
UNSAMPLED = f"00-{TRACE}-{PARENT}-00"


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Pipeline]:
    made = pipeline.start("remediation", settings(), tmp_path, {})
    assert made
    yield made
    made.stop(1.0)


def environ(traceparent: str = "") -> dict[str, str]:
    given = {"HTTP_TRACEPARENT": traceparent} if traceparent else {}
    return {"REQUEST_METHOD": "POST", "PATH_INFO": "/webhook", "SERVER_NAME": "127.0.0.1", **given}


def kept(traces: Pipeline) -> Span:
    batch = traces._spool.batch(10)
    assert batch is not None
    (span,) = batch.spans
    return span


def test_an_unsampled_caller_does_not_silence_us(traces: Pipeline) -> None:
    with receipt(environ(UNSAMPLED), "/webhook", time.time_ns()) as span:
        answer = reply(span, 3)
        ours = parse(traceparent(span, environ(UNSAMPLED)))
    assert answer == {"received": 3, "trace_id": TRACE}
    found = kept(traces)
    assert (found.name, found.kind, found.trace.hex(), found.parent.hex()) == (
        "POST /webhook",
        SERVER,
        TRACE,
        PARENT,
    )
    assert found.remote
    assert ours is not None
    assert ours.span_id.to_bytes(8) == found.span
    assert found.attributes["http.response.status_code"] == 202
    assert found.attributes["compose_agent.signals"] == 3


@pytest.mark.parametrize("traceparent", ["", "00-" + "0" * 32 + "-" + PARENT + "-01", "x" * 300])
def test_a_caller_without_a_trace_begins_a_new_one(traces: Pipeline, traceparent: str) -> None:
    with receipt(environ(traceparent), "/webhook", time.time_ns()):
        pass
    assert kept(traces).parent == b""


@pytest.mark.parametrize(
    ("why", "status", "fault"), [(Why.MALFORMED, 400, False), (Why.NOT_DURABLE, 503, True)]
)
def test_a_refusal_has_its_status_and_only_ours_is_an_error(
    traces: Pipeline, why: Why, status: int, *, fault: bool
) -> None:
    with pytest.raises(Refusal), receipt(environ(), "/webhook", time.time_ns()):
        raise Refusal(why, "no")
    found = kept(traces)
    assert found.attributes["http.response.status_code"] == status
    assert (found.status == ERROR) is fault


def test_without_tracing_the_callers_own_header_goes_on() -> None:
    with receipt(environ(UNSAMPLED), "/webhook", time.time_ns()) as span:
        assert traceparent(span, environ(UNSAMPLED)) == UNSAMPLED
        assert reply(span, 1) == {"received": 1}
    with receipt(environ(), "/webhook", time.time_ns()) as span:
        assert traceparent(span, environ("x" * 300)) == ""
