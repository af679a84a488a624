"""What all signals of OTLP have in common: attributes, and what a receiver answers.

Names and numbers are those of opentelemetry/proto/common/v1/common.proto; answers are those of the
specification, "OTLP/HTTP Response" (opentelemetry.io/docs/specs/otlp).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from compose_agent import protobuf
from compose_agent.protobuf import members

# KeyValue, AnyValue, ArrayValue
_KEY, _VALUE = 1, 2
_STRING, _BOOL, _INT, _DOUBLE, _ARRAY, _BYTES = 1, 2, 3, 4, 5, 7
_VALUES = 1
# What is said of one thing is said again and again: what such an attribute comes to is kept for a while.
# Names, ids and labels are no longer than this; sentences are, and each is another one.
_MOST_KEPT_CHARACTERS, _MOST_KEPT = 128, 1024

# ExportTraceServiceResponse, ExportLogsServiceResponse and the message in them have the same numbers.
_PARTIAL_SUCCESS = 1
_REJECTED, _MESSAGE = 1, 2
_MOST_WORDS = 300
_PAST_INT64 = 1 << 63


def attributes(field: int, said: Mapping[str, Any]) -> bytes:
    """Return attributes as fields with this number, each a ``KeyValue``."""
    if not said:
        return b""
    tag = protobuf.tag(field, protobuf.LENGTH)
    return tag + tag.join([_key_value(key, value) for key, value in said.items()])


def partial_success(body: bytes) -> tuple[int, str]:
    """Return how many items a receiver did not take, and why; 0 when it took all or cannot be read."""
    try:
        partial = members(body).get(_PARTIAL_SUCCESS)
        found = members(partial) if isinstance(partial, bytes) else {}
    except ValueError:
        return 0, ""
    rejected = found.get(_REJECTED, 0)
    number = rejected if isinstance(rejected, int) and rejected < _PAST_INT64 else 0
    return number, words(found.get(_MESSAGE))


def words(value: int | bytes | None) -> str:
    """Return a text of a message in one line, for people; empty for what is none."""
    if not isinstance(value, bytes):
        return ""
    return " ".join(value[:_MOST_WORDS].decode("utf-8", "replace").split())


def _key_value(key: str, value: object) -> bytes:
    """Return a ``KeyValue`` with its length before it."""
    if type(value) is str and len(value) > _MOST_KEPT_CHARACTERS:
        return _made(key, value)
    try:
        return _kept(key, value)
    except TypeError:  # a list, which is no key of a cache
        return _made(key, value)


def _made(key: str, value: object) -> bytes:
    pair = protobuf.data(_KEY, key.encode()) + protobuf.data(_VALUE, _value(value))
    return protobuf.varint(len(pair)) + pair


_kept = lru_cache(maxsize=_MOST_KEPT, typed=True)(_made)  # typed: 1, 1.0 and True are three values


def _value(value: object) -> bytes:
    if isinstance(value, str):
        return protobuf.data(_STRING, value.encode())
    if isinstance(value, bool):  # before int, which it is as well
        return protobuf.tag(_BOOL, protobuf.VARINT) + protobuf.varint(value)
    if isinstance(value, int):
        return protobuf.tag(_INT, protobuf.VARINT) + protobuf.varint(value & (1 << 64) - 1)
    if isinstance(value, float):
        return protobuf.tag(_DOUBLE, protobuf.FIXED64) + struct.pack("<d", value)
    return _rarer_value(value)


def _rarer_value(value: object) -> bytes:
    if isinstance(value, bytes):
        return protobuf.data(_BYTES, value)
    if isinstance(value, Iterable):
        return protobuf.data(_ARRAY, b"".join(protobuf.data(_VALUES, _value(each)) for each in value))
    return protobuf.data(_STRING, str(value).encode())
