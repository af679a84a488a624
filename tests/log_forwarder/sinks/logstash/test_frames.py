from __future__ import annotations

import struct
import zlib

import pytest

from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.logstash.frames import (
    MOST_BYTES,
    MOST_EVENTS,
    Acknowledgements,
    events_in,
    window,
    windows,
)


def documents(data: bytes) -> list[bytes]:
    """Return what a window holds, and check its numbers."""
    (count,) = struct.unpack_from(">I", data, 2)
    rest = data[6:]
    if rest[:2] == b"2C":
        assert struct.unpack_from(">I", rest, 2)[0] == len(rest) - 6
        rest = zlib.decompress(rest[6:])
    found = []
    while rest:
        assert rest[:2] == b"2J"
        number, size = struct.unpack_from(">II", rest, 2)
        found.append(rest[10 : 10 + size])
        assert number == len(found)
        rest = rest[10 + size :]
    assert count == len(found)
    return found


def test_a_window_in_bytes() -> None:
    assert window([b"{}"], compress=False) == b"2W\0\0\0\x01" + b"2J\0\0\0\x01\0\0\0\x02{}"


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("count", [1, MOST_EVENTS, MOST_EVENTS + 1, 3 * MOST_EVENTS])
def test_windows_hold_all_documents_in_order(count: int, *, compress: bool) -> None:
    given = [b'{"n":%d}' % number for number in range(count)]
    made = list(windows(given, compress=compress))
    assert [document for each in made for document in documents(each)] == given
    assert len(made) == -(-count // MOST_EVENTS)
    assert sum(map(events_in, made)) == count


def test_a_window_ends_before_it_is_too_large() -> None:
    given = [b"a" * (MOST_BYTES // 2), b"b" * (MOST_BYTES // 2), b"c", b"d" * 2 * MOST_BYTES, b"e"]
    sizes = [[len(each) for each in documents(made)] for made in windows(given, compress=True)]
    assert sizes == [[MOST_BYTES // 2, MOST_BYTES // 2], [1], [2 * MOST_BYTES], [1]]


def test_no_documents_make_no_window() -> None:
    assert list(windows([], compress=True)) == []


def test_acknowledgements_in_pieces_are_whole_numbers() -> None:
    acknowledgements = Acknowledgements()
    data = b"2A\0\0\0\0" + b"2A\0\0\x01\x02"
    found = [acknowledgements.feed(data[at : at + 1]) for at in range(len(data))]
    assert [number for each in found for number in each] == [0, 258]
    assert acknowledgements.feed(data + b"2") == [0, 258]


@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request", b"1A\0\0\0\x01", b"2B", b"2A\0\0\0\x01x"])
def test_anything_else_is_no_lumberjack(data: bytes) -> None:
    with pytest.raises(SinkUnavailable, match="not Lumberjack v2: check that the address"):
        Acknowledgements().feed(data)
