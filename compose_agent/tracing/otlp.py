"""OTLP: spans of the spool to a request.

Names and numbers are those of opentelemetry/proto/trace/v1/trace.proto and its neighbours. The bytes are made
here, because protobuf's library would be three MiB more in every role that exports; a test compares them,
once decoded, with what OpenTelemetry's own exporter makes of the same spans.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from compose_agent import __version__, protobuf
from compose_agent.tracing.records import Event, Link, Span

# ExportTraceServiceRequest, ResourceSpans, ScopeSpans
_RESOURCE_SPANS = 1
_RESOURCE, _SCOPE_SPANS = 1, 2
_SCOPE, _SPANS = 1, 2
# Resource, InstrumentationScope, KeyValue
_RESOURCE_ATTRIBUTES = 1
_NAME, _VERSION = 1, 2
_KEY, _VALUE = 1, 2
# AnyValue, ArrayValue
_STRING, _BOOL, _INT, _DOUBLE, _ARRAY, _BYTES = 1, 2, 3, 4, 5, 7
_VALUES = 1
# Bits of Span.flags and Link.flags: whether it is known where the parent is, and that it is elsewhere.
_HAS_REMOTE, _IS_REMOTE = 0x100, 0x200


def request(resource: Mapping[str, Any], spans: Sequence[Span]) -> bytes:
    """Return an ``ExportTraceServiceRequest``."""
    scopes: dict[str, list[bytes]] = {}
    for each in spans:
        scopes.setdefault(each.scope, []).append(protobuf.data(_SPANS, _span(each)))
    whose = protobuf.data(_RESOURCE, _attributes(_RESOURCE_ATTRIBUTES, resource))
    said = [
        protobuf.data(_SCOPE_SPANS, protobuf.data(_SCOPE, _scope(name)) + b"".join(those))
        for name, those in scopes.items()
    ]
    return protobuf.data(_RESOURCE_SPANS, whose + b"".join(said))


def _scope(name: str) -> bytes:
    return protobuf.text(_NAME, name) + protobuf.text(_VERSION, __version__)


def _span(span: Span) -> bytes:
    attributes, events, links = span.left_out
    return b"".join(
        (
            protobuf.data(1, span.trace),
            protobuf.data(2, span.span),
            protobuf.text(3, span.state),
            protobuf.data(4, span.parent) if span.parent else b"",
            protobuf.text(5, span.name),
            protobuf.number(6, span.kind),
            protobuf.fixed64(7, span.start),
            protobuf.fixed64(8, span.end),
            _attributes(9, span.attributes),
            protobuf.number(10, attributes),
            *(protobuf.data(11, _event(each)) for each in span.events),
            protobuf.number(12, events),
            *(protobuf.data(13, _link(each)) for each in span.links),
            protobuf.number(14, links),
            protobuf.data(15, protobuf.text(2, span.message) + protobuf.number(3, span.status)),
            protobuf.fixed32(16, _flags(remote=span.remote)),
        )
    )


def _event(event: Event) -> bytes:
    return protobuf.fixed64(1, event.at) + protobuf.text(2, event.name) + _attributes(3, event.attributes)


def _link(link: Link) -> bytes:
    whose = protobuf.data(1, link.trace) + protobuf.data(2, link.span)
    return whose + _attributes(4, link.attributes) + protobuf.fixed32(6, _flags(remote=link.remote))


def _flags(*, remote: bool) -> int:
    return _HAS_REMOTE | _IS_REMOTE if remote else _HAS_REMOTE


def _attributes(field: int, attributes: Mapping[str, Any]) -> bytes:
    return b"".join(
        protobuf.data(field, _key(key) + protobuf.data(_VALUE, _value(value)))
        for key, value in attributes.items()
    )


@lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return protobuf.data(_KEY, key.encode())


def _value(value: object) -> bytes:
    if isinstance(value, str):
        return protobuf.data(_STRING, value.encode())
    if isinstance(value, bool):  # before int, which it is as well
        return protobuf.tag(_BOOL, 0) + protobuf.varint(value)
    if isinstance(value, int):
        return protobuf.tag(_INT, 0) + protobuf.varint(value & (1 << 64) - 1)
    if isinstance(value, float):
        return protobuf.tag(_DOUBLE, 1) + struct.pack("<d", value)
    return _rarer_value(value)


def _rarer_value(value: object) -> bytes:
    if isinstance(value, bytes):
        return protobuf.data(_BYTES, value)
    if isinstance(value, Iterable):
        return protobuf.data(_ARRAY, b"".join(protobuf.data(_VALUES, _value(each)) for each in value))
    return protobuf.data(_STRING, str(value).encode())
