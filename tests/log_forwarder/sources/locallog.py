"""Records of the ``local`` log driver, made by hand."""

from __future__ import annotations

import struct

BASE_NS = 1_767_323_045_000_000_000  # 2026-01-02T03:04:05Z, as in tests.log_forwarder.making.moment


def varint(number: int) -> bytes:
    packed = b""
    while number > 0x7F:
        packed += bytes([number & 0x7F | 0x80])
        number >>= 7
    return packed + bytes([number])


def text(field: int, data: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(data)) + data


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value % (1 << 64)) if value else b""


def framed(entry: bytes) -> bytes:
    length = struct.pack(">I", len(entry))
    return length + entry + length


def record(
    line: bytes, time: int, stream: str = "stdout", *, piece: int = 0, last: bool = False, **attrs: str
) -> bytes:
    """Return a record as Docker writes it; ``piece`` counts those of a line that was cut, from 1."""
    entry = text(1, stream.encode()) + number(2, BASE_NS + time) + (text(3, line) if line else b"")
    if piece:
        about = number(1, int(last)) + text(2, b"f" * 64) + number(3, piece)
        entry += number(4, 1) + text(5, about)
    for key, value in attrs.items():
        entry += text(6, text(1, key.encode()) + text(2, value.encode()))
    return framed(entry)
