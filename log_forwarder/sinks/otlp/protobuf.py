"""The parts of protobuf's wire format that OTLP logs need (protobuf.dev/programming-guides/encoding).

A field is a key ``number << 3 | type`` and a value: type 0 a varint, 1 eight bytes, 2 a length and bytes,
5 four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_DOUBLE = struct.Struct("<d")
_LAST_INT64 = 2**63 - 1
# Deeper values become text: nothing recurses for ever, and receivers have limits of their own.
_DEEPEST = 20


def varint(number: int) -> bytes:
    """Return a number of 0 and above in groups of seven bits, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """Return a field with a string, bytes or a message."""
    return varint(number << 3 | BYTES) + varint(len(data)) + data


def text(value: str) -> bytes:
    """Return UTF-8; halves of surrogate pairs become question marks."""
    try:
        return value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace")


def key_value(key: str, value: Any) -> bytes:
    """Return an OTLP ``KeyValue``."""
    return field(1, text(key)) + field(2, any_value(value))


def any_value(value: Any, depth: int = _DEEPEST) -> bytes:
    """Return an OTLP ``AnyValue``: strings, booleans, numbers, lists, mappings; empty for None."""
    match value:
        case list() | tuple() if depth:
            return field(5, b"".join(field(1, any_value(each, depth - 1)) for each in value))
        case Mapping() if depth:
            pairs = (
                field(1, text(str(key))) + field(2, any_value(each, depth - 1)) for key, each in value.items()
            )
            return field(6, b"".join(field(1, pair) for pair in pairs))
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
    return field(1, text(str(value)))


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message; ValueError for what is none."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        if kind == BYTES:
            width, at = _read_varint(data, at)
        elif kind in _WIDTHS:
            width = _WIDTHS[kind]
        else:
            raise ValueError(f"there is no wire type {kind}")
        if at + width > len(data):
            raise ValueError("a field ends beyond the message")
        yield number, data[at : at + width]
        at += width


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number does not end")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
