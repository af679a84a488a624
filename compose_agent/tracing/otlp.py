"""OTLP in OpenTelemetry's own protobufs: spans of the spool to a request, and what an answer says.

The messages are made of the spool's values at once. The encoder of OpenTelemetry's exporters wants spans of
the SDK, which would have to be made anew for it; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from compose_agent import __version__
from compose_agent.tracing.records import Event, Link, Span

# Bits of Span.flags and Link.flags: whether it is known where the parent is, and that it is elsewhere.
_HAS_REMOTE, _IS_REMOTE = 0x100, 0x200
# In this order: a bool is an int as well.
_FIELDS = (
    (str, "string_value"),
    (bool, "bool_value"),
    (int, "int_value"),
    (float, "double_value"),
    (bytes, "bytes_value"),
)


def request(resource: Mapping[str, Any], spans: Sequence[Span]) -> bytes:
    """Return an ``ExportTraceServiceRequest``."""
    scopes: dict[str, list[trace_pb2.Span]] = {}
    for each in spans:
        scopes.setdefault(each.scope, []).append(_span(each))
    found = trace_pb2.ResourceSpans(
        resource=Resource(attributes=_attributes(resource)),
        scope_spans=[
            trace_pb2.ScopeSpans(scope=InstrumentationScope(name=name, version=__version__), spans=those)
            for name, those in scopes.items()
        ],
    )
    encoded: bytes = ExportTraceServiceRequest(resource_spans=[found]).SerializeToString()
    return encoded


def partial_success(body: bytes) -> tuple[int, str]:
    """Return how many spans a collector did not take, and why; 0 when it took all or cannot be read."""
    try:
        answer = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return 0, ""
    return max(0, answer.rejected_spans), answer.error_message


def _span(span: Span) -> trace_pb2.Span:
    attributes, events, links = span.left_out
    return trace_pb2.Span(
        trace_id=span.trace,
        span_id=span.span,
        trace_state=span.state,
        parent_span_id=span.parent,
        flags=_flags(remote=span.remote),
        name=span.name,
        kind=span.kind,  # type: ignore[arg-type]  # protobuf takes numbers
        start_time_unix_nano=span.start,
        end_time_unix_nano=span.end,
        attributes=_attributes(span.attributes),
        dropped_attributes_count=attributes,
        events=[_event(each) for each in span.events],
        dropped_events_count=events,
        links=[_link(each) for each in span.links],
        dropped_links_count=links,
        status=trace_pb2.Status(code=span.status, message=span.message),  # type: ignore[arg-type]
    )


def _event(event: Event) -> trace_pb2.Span.Event:
    return trace_pb2.Span.Event(
        time_unix_nano=event.at, name=event.name, attributes=_attributes(event.attributes)
    )


def _link(link: Link) -> trace_pb2.Span.Link:
    return trace_pb2.Span.Link(
        trace_id=link.trace,
        span_id=link.span,
        attributes=_attributes(link.attributes),
        flags=_flags(remote=link.remote),
    )


def _flags(*, remote: bool) -> int:
    return _HAS_REMOTE | _IS_REMOTE if remote else _HAS_REMOTE


def _attributes(attributes: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_value(value)) for key, value in attributes.items()]


def _value(value: object) -> AnyValue:
    for kind, field in _FIELDS:
        if isinstance(value, kind):
            return AnyValue(**{field: value})
    if isinstance(value, Iterable):
        return AnyValue(array_value=ArrayValue(values=[_value(each) for each in value]))
    return AnyValue(string_value=str(value))
