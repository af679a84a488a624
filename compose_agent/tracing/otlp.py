"""OTLP, by OpenTelemetry's own encoder: spans of the spool to a request, and an answer to what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from compose_agent import __version__
from compose_agent.tracing.records import Span


def request(resource: Mapping[str, Any], spans: Sequence[Span]) -> bytes:
    """Return an ``ExportTraceServiceRequest``."""
    whose = Resource(dict(resource))
    scopes = {name: InstrumentationScope(name, __version__) for name in {each.scope for each in spans}}
    found = [_sdk_span(each, whose, scopes[each.scope]) for each in spans]
    encoded: bytes = encode_spans(found).SerializeToString()
    return encoded


def partial_success(body: bytes) -> tuple[int, str]:
    """Return how many spans a collector did not take, and why; 0 when it took all or cannot be read."""
    try:
        answer = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return 0, ""
    return max(0, answer.rejected_spans), answer.error_message


def _sdk_span(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    trace = int.from_bytes(span.trace)
    flags = TraceFlags(span.flags)
    state = TraceState.from_header([span.state]) if span.state else None
    parent = SpanContext(trace, int.from_bytes(span.parent), span.remote, flags) if span.parent else None
    return ReadableSpan(
        name=span.name,
        context=SpanContext(
            trace, int.from_bytes(span.span), is_remote=False, trace_flags=flags, trace_state=state
        ),
        parent=parent,
        resource=resource,
        attributes=span.attributes,
        events=[Event(each.name, each.attributes, each.at) for each in span.events],
        links=[
            Link(
                SpanContext(int.from_bytes(each.trace), int.from_bytes(each.span), each.remote),
                each.attributes,
            )
            for each in span.links
        ],
        kind=SpanKind(span.kind - 1),
        status=Status(StatusCode(span.status), span.message or None),
        start_time=span.start,
        end_time=span.end,
        instrumentation_scope=scope,
    )
