"""Our spans and protobufs beside those of OpenTelemetry's SDK and exporter, for the same calls of the API."""

from __future__ import annotations

from itertools import count

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace import TracerProvider as Provided
from opentelemetry.trace.span import TraceState

from compose_agent import __version__
from compose_agent.otlp import partial_success
from compose_agent.tracing import context
from compose_agent.tracing.live import LiveSpan
from compose_agent.tracing.otlp import request
from compose_agent.tracing.provider import Provider
from compose_agent.tracing.records import Span

RESOURCE: dict[str, str | int] = {"service.name": "x", "process.pid": 7}
REMOTE = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")]))
LIMITS = SpanLimits(max_span_attributes=8, max_events=4, max_links=2, max_span_attribute_length=9)


class Kept:
    """Keeps what is over."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def began(self, span: LiveSpan) -> None:
        """Do nothing."""

    def over(self, span: LiveSpan) -> None:
        self.spans.append(span.record())


class Numbers(IdGenerator):
    """Gives the same ids and times to both, so that nothing else differs."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def generate_trace_id(self) -> int:
        return next(self._numbers) << 64 | 1

    def generate_span_id(self) -> int:
        return next(self._numbers)

    def is_trace_id_random(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have our random numbers be those that the SDK is given."""
    numbers = Numbers()
    ids = {128: numbers.generate_trace_id, 64: numbers.generate_span_id}
    monkeypatch.setattr("compose_agent.tracing.provider.random.getrandbits", lambda bits: ids[bits]())


def tell(provider: Provided) -> None:
    """Have some spans of every kind."""
    tracer = provider.get_tracer("one", __version__)
    server = tracer.start_span("server", context.below(REMOTE), SpanKind.SERVER, start_time=1)
    server.set_attributes({"s": "ä", "i": -1, "f": 0.5, "b": True, "one": 1, "e": ""})
    server.set_attribute("e", "again")
    server.set_attribute("long", "0123456789")
    server.add_event("event", {"d": True, "n": [1, 2], "t": ("x", "y")}, timestamp=2)
    with context.Active(server):
        links = [Link(REMOTE, {"why": "because"}), Link(SpanContext(3, 4, is_remote=False))]
        other = provider.get_tracer("two", __version__)
        client = other.start_span("client", kind=SpanKind.CLIENT, links=links, start_time=3)
        client.set_status(Status(StatusCode.ERROR, "went wrong"))
        client.update_name("renamed")
        client.end(4)
        client.set_attribute("too", "late")
        client.end(5)
    assert not server.is_recording()
    root = tracer.start_span("root", attributes={"b": b"\0", "l": ["x", "y"]}, start_time=6)
    root.add_link(REMOTE)
    root.set_status(StatusCode.OK, "not told")
    root.set_status(StatusCode.ERROR, "too late")
    root.end(7)


def end_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", lambda: 9)
    monkeypatch.setattr("opentelemetry.sdk.trace.time_ns", lambda: 9)


def test_a_request_is_what_opentelemetry_would_send(monkeypatch: pytest.MonkeyPatch) -> None:
    end_now(monkeypatch)
    kept = InMemorySpanExporter()
    sdk = TracerProvider(
        resource=Resource(RESOURCE), shutdown_on_exit=False, span_limits=LIMITS, id_generator=Numbers()
    )
    sdk.add_span_processor(SimpleSpanProcessor(kept))
    tell(sdk)
    own, provider = Kept(), Provider()
    provider.on(own, ALWAYS_ON, LIMITS)
    tell(provider)
    ours = ExportTraceServiceRequest.FromString(request(RESOURCE, own.spans))
    assert str(ours) == str(encode_spans(kept.get_finished_spans()))
    assert len(own.spans) == 3


def test_what_is_beyond_the_limits_is_counted() -> None:
    own, provider = Kept(), Provider()
    provider.on(own, ALWAYS_ON, LIMITS)
    span = provider.get_tracer("one").start_span("x", attributes={f"a {number}": "" for number in range(10)})
    for number in range(7):
        span.add_event(f"event {number}")
        span.add_link(REMOTE)
    span.set_attributes({"a 0": "another", "one more": ""})
    span.end()
    (kept,) = own.spans
    assert (len(kept.attributes), len(kept.events), len(kept.links)) == (8, 4, 2)
    assert kept.left_out == (3, 3, 5)
    assert kept.attributes["a 0"] == "another"


def test_an_exception_is_told_of_as_the_api_has_it() -> None:
    own, provider = Kept(), Provider()
    provider.on(own, ALWAYS_ON, SpanLimits())
    with (
        pytest.raises(ValueError, match="why"),
        provider.get_tracer("one").start_as_current_span("x"),
    ):
        raise ValueError("why")
    (kept,) = own.spans
    assert (kept.status, kept.message) == (2, "ValueError: why")
    (event,) = kept.events
    assert event.name == "exception"
    assert (event.attributes["exception.type"], event.attributes["exception.message"]) == (
        "ValueError",
        "why",
    )
    assert "raise ValueError" in event.attributes["exception.stacktrace"]


def test_one_and_true_are_two_values() -> None:
    def sent(value: object) -> str:
        span = Span(trace=b"\1" * 16, span=b"\1" * 8, name="x", start=1, attributes={"k": value})
        found = ExportTraceServiceRequest.FromString(request({}, [span]))
        return str(found.resource_spans[0].scope_spans[0].spans[0].attributes[0].value.WhichOneof("value"))

    sorts = ["int_value", "bool_value", "double_value", "string_value", "array_value"]
    assert [sent(value) for value in (1, True, 1.0, "1", [1])] == sorts


def test_what_an_answer_says() -> None:
    answer = ExportTraceServiceResponse()
    assert partial_success(answer.SerializeToString()) == (0, "")
    answer.partial_success.rejected_spans = 3
    answer.partial_success.error_message = "no"
    assert partial_success(answer.SerializeToString()) == (3, "no")
    assert partial_success(b"\xff\xffgarbage") == (0, "")
