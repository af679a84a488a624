"""Values of events as OTLP has them: ``AnyValue`` and ``KeyValue`` of opentelemetry/proto/common/v1."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

from compose_agent.protobuf import data, varint

_DOUBLE = struct.Struct("<d")
_LAST_INT64 = 2**63 - 1
# Deeper values become text: nothing recurses for ever, and receivers have limits of their own.
_DEEPEST = 20


def text(value: str) -> bytes:
    """Return UTF-8; halves of surrogate pairs become question marks."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def key_value(key: str, value: Any) -> bytes:
    """Return an OTLP ``KeyValue``."""
    return data(1, text(key)) + data(2, any_value(value))


def any_value(value: Any, depth: int = _DEEPEST) -> bytes:
    """Return an OTLP ``AnyValue``: strings, booleans, numbers, lists, mappings; empty for None."""
    match value:
        case list() | tuple() if depth:
            return data(5, b"".join(data(1, any_value(each, depth - 1)) for each in value))
        case Mapping() if depth:
            pairs = (
                data(1, text(str(key))) + data(2, any_value(each, depth - 1)) for key, each in value.items()
            )
            return data(6, b"".join(data(1, pair) for pair in pairs))
    return _scalar(value)


def _scalar(value: Any) -> bytes:
    match value:
        case None:
            return b""
        case bool():
            return b"\x10\x01" if value else b"\x10\x00"
        case int() if abs(value) <= _LAST_INT64:
            return b"\x18" + varint(value & 2**64 - 1)
        case float():
            return b"\x21" + _DOUBLE.pack(value)
    return data(1, text(str(value)))
