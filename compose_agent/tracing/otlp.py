"""OTLP: spans of the spool to a request, and what an answer says.

Names and numbers are those of opentelemetry/proto/trace/v1/trace.proto and its neighbours. The bytes are made
here, because protobuf's library would be three MiB more in every role that exports; a test compares them,
once decoded, with what OpenTelemetry's own exporter makes of the same spans.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from compose_agent import __version__
from compose_agent.tracing import wire
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
# ExportTraceServiceResponse, ExportTracePartialSuccess
_PARTIAL_SUCCESS = 1
_REJECTED, _MESSAGE = 1, 2
_MOST_WORDS = 300


def request(resource: Mapping[str, Any], spans: Sequence[Span]) -> bytes:
    """Return an ``ExportTraceServiceRequest``."""
    scopes: dict[str, list[bytes]] = {}
    for each in spans:
        scopes.setdefault(each.scope, []).append(wire.data(_SPANS, _span(each)))
    whose = wire.data(_RESOURCE, _attributes(_RESOURCE_ATTRIBUTES, resource))
    said = [
        wire.data(_SCOPE_SPANS, wire.data(_SCOPE, _scope(name)) + b"".join(those))
        for name, those in scopes.items()
    ]
    return wire.data(_RESOURCE_SPANS, whose + b"".join(said))


def partial_success(body: bytes) -> tuple[int, str]:
    """Return how many spans a collector did not take, and why; 0 when it took all or cannot be read."""
    try:
        partial = wire.members(body).get(_PARTIAL_SUCCESS)
        found = wire.members(partial) if isinstance(partial, bytes) else {}
    except ValueError:
        return 0, ""
    rejected, words = found.get(_REJECTED, 0), found.get(_MESSAGE, b"")
    said = words[:_MOST_WORDS].decode("utf-8", "replace") if isinstance(words, bytes) else ""
    return (rejected if isinstance(rejected, int) and rejected < 1 << 63 else 0), said


def _scope(name: str) -> bytes:
    return wire.text(_NAME, name) + wire.text(_VERSION, __version__)


def _span(span: Span) -> bytes:
    attributes, events, links = span.left_out
    return b"".join(
        (
            wire.data(1, span.trace),
            wire.data(2, span.span),
            wire.text(3, span.state),
            wire.data(4, span.parent) if span.parent else b"",
            wire.text(5, span.name),
            wire.number(6, span.kind),
            wire.fixed64(7, span.start),
            wire.fixed64(8, span.end),
            _attributes(9, span.attributes),
            wire.number(10, attributes),
            *(wire.data(11, _event(each)) for each in span.events),
            wire.number(12, events),
            *(wire.data(13, _link(each)) for each in span.links),
            wire.number(14, links),
            wire.data(15, wire.text(2, span.message) + wire.number(3, span.status)),
            wire.fixed32(16, _flags(remote=span.remote)),
        )
    )


def _event(event: Event) -> bytes:
    return wire.fixed64(1, event.at) + wire.text(2, event.name) + _attributes(3, event.attributes)


def _link(link: Link) -> bytes:
    whose = wire.data(1, link.trace) + wire.data(2, link.span)
    return whose + _attributes(4, link.attributes) + wire.fixed32(6, _flags(remote=link.remote))


def _flags(*, remote: bool) -> int:
    return _HAS_REMOTE | _IS_REMOTE if remote else _HAS_REMOTE


def _attributes(field: int, attributes: Mapping[str, Any]) -> bytes:
    return b"".join(
        wire.data(field, _key(key) + wire.data(_VALUE, _value(value))) for key, value in attributes.items()
    )


@lru_cache(maxsize=256)
def _key(key: str) -> bytes:
    return wire.data(_KEY, key.encode())


def _value(value: object) -> bytes:
    if isinstance(value, str):
        return wire.data(_STRING, value.encode())
    if isinstance(value, bool):  # before int, which it is as well
        return wire.tag(_BOOL, 0) + wire.varint(value)
    if isinstance(value, int):
        return wire.tag(_INT, 0) + wire.varint(value & (1 << 64) - 1)
    if isinstance(value, float):
        return wire.tag(_DOUBLE, 1) + struct.pack("<d", value)
    return _rarer_value(value)


def _rarer_value(value: object) -> bytes:
    if isinstance(value, bytes):
        return wire.data(_BYTES, value)
    if isinstance(value, Iterable):
        return wire.data(_ARRAY, b"".join(wire.data(_VALUES, _value(each)) for each in value))
    return wire.data(_STRING, str(value).encode())
