"""OTLP: spans of the spool to a request.

Names and numbers are those of opentelemetry/proto/trace/v1/trace.proto and its neighbours. The bytes are made
here, because protobuf's library would be three MiB more in every role that exports; a test compares them,
once decoded, with what OpenTelemetry's own exporter makes of the same spans.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from compose_agent import __version__, protobuf
from compose_agent.otlp import attributes
from compose_agent.tracing.records import Event, Link, Span

# ExportTraceServiceRequest, ResourceSpans, ScopeSpans
_RESOURCE_SPANS = 1
_RESOURCE, _SCOPE_SPANS = 1, 2
_SCOPE, _SPANS = 1, 2
# Resource, InstrumentationScope
_RESOURCE_ATTRIBUTES = 1
_NAME, _VERSION = 1, 2
# Span, Event, Link
_SPAN_STATE, _SPAN_NAME, _SPAN_KIND, _SPAN_ATTRIBUTES, _SPAN_EVENTS, _SPAN_LINKS = 3, 5, 6, 9, 11, 13
_LEFT_OUT = (10, 12, 14)
_STATUS, _STATUS_MESSAGE, _STATUS_CODE, _SPAN_FLAGS = 15, 2, 3, 16
_EVENT_AT, _EVENT_NAME, _EVENT_ATTRIBUTES = 1, 2, 3
_LINK_TRACE, _LINK_SPAN, _LINK_ATTRIBUTES, _LINK_FLAGS = 1, 2, 4, 6
# What every span has, as one pattern: trace_id, span_id, parent_span_id …
_IDS = b"".join(protobuf.tag(field, protobuf.LENGTH) + b"%c%b" for field in (1, 2, 4))
# … and start_time_unix_nano, end_time_unix_nano.
_TIMES = struct.Struct("<cQcQ")
_START, _END = (protobuf.tag(field, protobuf.FIXED64) for field in (7, 8))
# Bits of Span.flags and Link.flags: whether it is known where the parent is, and that it is elsewhere.
_HAS_REMOTE, _IS_REMOTE = 0x100, 0x200
_FLAGS = {remote: _HAS_REMOTE | (_IS_REMOTE if remote else 0) for remote in (False, True)}
_SPAN_FLAGS_OF = {remote: protobuf.fixed32(_SPAN_FLAGS, flags) for remote, flags in _FLAGS.items()}


def request(resource: Mapping[str, Any], spans: Sequence[Span]) -> bytes:
    """Return an ``ExportTraceServiceRequest``."""
    scopes: dict[str, list[bytes]] = {}
    for each in spans:
        scopes.setdefault(each.scope, []).append(protobuf.data(_SPANS, _span(each)))
    whose = protobuf.data(_RESOURCE, attributes(_RESOURCE_ATTRIBUTES, resource))
    said = [
        protobuf.data(_SCOPE_SPANS, protobuf.data(_SCOPE, _scope(name)) + b"".join(those))
        for name, those in scopes.items()
    ]
    return protobuf.data(_RESOURCE_SPANS, whose + b"".join(said))


def _scope(name: str) -> bytes:
    return protobuf.text(_NAME, name) + protobuf.text(_VERSION, __version__)


def _span(span: Span) -> bytes:
    trace, own, parent = span.trace, span.span, span.parent
    parts = [
        _IDS % (len(trace), trace, len(own), own, len(parent), parent),
        _name(span.name, span.kind),
        _TIMES.pack(_START, span.start, _END, span.end),
        attributes(_SPAN_ATTRIBUTES, span.attributes),
        _status(span.status, span.message),
        _SPAN_FLAGS_OF[span.remote],
    ]
    if span.events or span.links or span.state or any(span.left_out):
        parts += _rarer_parts(span)
    return b"".join(parts)


def _rarer_parts(span: Span) -> Iterator[bytes]:
    yield protobuf.text(_SPAN_STATE, span.state)
    yield from (protobuf.data(_SPAN_EVENTS, _event(each)) for each in span.events)
    yield from (protobuf.data(_SPAN_LINKS, _link(each)) for each in span.links)
    yield from (protobuf.number(field, count) for field, count in zip(_LEFT_OUT, span.left_out, strict=True))


@lru_cache(maxsize=64)
def _name(name: str, kind: int) -> bytes:
    return protobuf.text(_SPAN_NAME, name) + protobuf.number(_SPAN_KIND, kind)


@lru_cache(maxsize=64)
def _status(status: int, message: str) -> bytes:
    said = protobuf.text(_STATUS_MESSAGE, message) + protobuf.number(_STATUS_CODE, status)
    return protobuf.data(_STATUS, said)


def _event(event: Event) -> bytes:
    what = protobuf.fixed64(_EVENT_AT, event.at) + protobuf.text(_EVENT_NAME, event.name)
    return what + attributes(_EVENT_ATTRIBUTES, event.attributes)


def _link(link: Link) -> bytes:
    whose = protobuf.data(_LINK_TRACE, link.trace) + protobuf.data(_LINK_SPAN, link.span)
    flags = protobuf.fixed32(_LINK_FLAGS, _FLAGS[link.remote])
    return whose + attributes(_LINK_ATTRIBUTES, link.attributes) + flags
