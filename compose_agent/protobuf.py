"""Protobuf's wire format, as much as OTLP needs (protobuf.dev/programming-guides/encoding).

A field is a tag ``number << 3 | type`` and a value: type 0 a varint, 1 eight bytes, 2 a length and bytes,
5 four bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
_UINT64 = (1 << 64) - 1


def varint(number: int) -> bytes:
    """Return a number from 0 on, seven bits to a byte, the lowest first."""
    if number < 0x80:
        return bytes((number,))
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def number(field: int, value: int) -> bytes:
    """Return a field with an integer; negative ones are of 64 bits. Nothing for 0, which is the default."""
    return tag(field, VARINT) + varint(value & _UINT64) if value else b""


def fixed64(field: int, value: int) -> bytes:
    """Return a field with an integer of 64 bits. Nothing for 0."""
    return tag(field, FIXED64) + struct.pack("<Q", value) if value else b""


def fixed32(field: int, value: int) -> bytes:
    """Return a field with an integer of 32 bits. Nothing for 0."""
    return tag(field, FIXED32) + struct.pack("<I", value) if value else b""


def data(field: int, value: bytes) -> bytes:
    """Return a field with bytes, or a message; also when they are empty."""
    return tag(field, LENGTH) + varint(len(value)) + value


def text(field: int, value: str) -> bytes:
    """Return a field with a text. Nothing for an empty one."""
    return data(field, value.encode()) if value else b""


@lru_cache(maxsize=256)
def tag(field: int, kind: int) -> bytes:
    """Return what stands before a value."""
    return varint(field << 3 | kind)


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field of a message; raises ValueError for what is none."""
    offset = 0
    while offset < len(message):
        head, offset = _varint_at(message, offset)
        field, kind = head >> 3, head & 7
        if kind == VARINT:
            value, offset = _varint_at(message, offset)
            yield field, value
            continue
        size, offset = _size_at(message, offset, kind)
        if offset + size > len(message):
            raise ValueError("it ends within a field")
        yield field, message[offset : offset + size]
        offset += size


def members(message: bytes) -> dict[int, int | bytes]:
    """Return the fields of a message, the last of each; raises ValueError for what is none."""
    return dict(fields(message))


def _size_at(message: bytes, offset: int, kind: int) -> tuple[int, int]:
    if kind == LENGTH:
        return _varint_at(message, offset)
    if kind in (FIXED64, FIXED32):
        return 8 if kind == FIXED64 else 4, offset
    raise ValueError(f"there is no wire type {kind}")


def _varint_at(message: bytes, offset: int) -> tuple[int, int]:
    found = 0
    for shift in range(0, 70, 7):
        if offset >= len(message):
            raise ValueError("it ends within a number")
        byte, offset = message[offset], offset + 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, offset
    raise ValueError("a number is too long")
