"""Our protobufs beside those that OpenTelemetry's own exporters make of the same spans."""

from __future__ import annotations

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from compose_agent import __version__
from compose_agent.otlp import partial_success
from compose_agent.tracing import context
from compose_agent.tracing.otlp import request
from compose_agent.tracing.records import span_of

RESOURCE: dict[str, str | int] = {"service.name": "x", "process.pid": 7}


def test_a_request_is_what_opentelemetry_would_send() -> None:
    kept = InMemorySpanExporter()
    limits = SpanLimits(max_span_attributes=8, max_events=2)
    provider = TracerProvider(resource=Resource(RESOURCE), shutdown_on_exit=False, span_limits=limits)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    remote = SpanContext(
        1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("a", "b")])
    )
    tracer = provider.get_tracer("one", __version__)
    with tracer.start_as_current_span("server", context.below(remote), SpanKind.SERVER) as span:
        span.set_attributes({"s": "ä", "i": -1, "f": 0.5, "b": True, "l": ["x", "y"], "n": [1, 2], "e": ""})
        span.set_attributes({f"more {number}": number for number in range(5)})
        for number in range(4):
            span.add_event(f"event {number}", {"at": number})
        links = [Link(remote, {"why": "because"}), Link(SpanContext(3, 4, is_remote=False))]
        with provider.get_tracer("two", __version__).start_as_current_span(
            "client", kind=SpanKind.CLIENT, links=links
        ) as inner:
            inner.set_status(Status(StatusCode.ERROR, "went wrong"))
    spans = kept.get_finished_spans()
    ours = ExportTraceServiceRequest.FromString(request(RESOURCE, [span_of(each) for each in spans]))
    assert ours == encode_spans(spans)


def test_what_an_answer_says() -> None:
    answer = ExportTraceServiceResponse()
    assert partial_success(answer.SerializeToString()) == (0, "")
    answer.partial_success.rejected_spans = 3
    answer.partial_success.error_message = "no"
    assert partial_success(answer.SerializeToString()) == (3, "no")
    assert partial_success(b"\xff\xffgarbage") == (0, "")
