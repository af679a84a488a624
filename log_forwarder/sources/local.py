"""The format of Docker's ``local`` log driver (moby daemon/logger/local).

A record is the length of an entry, the entry, and the length once more, both in four bytes, the highest
first. The entry is a protobuf message (moby api/types/plugins/logdriver/entry.proto), its fields in the order
of their numbers::

    LogEntry        1 source: string   2 time_nano: int64   3 line: bytes, without its newline
                    4 partial: bool    5 partial_log_metadata: PartialLogEntryMetadata
    PartialLogEntryMetadata   1 last: bool   2 id: string   3 ordinal: int32
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from struct import Struct

from log_forwarder.event import Event
from log_forwarder.sources.jsonfile import Decoded
from log_forwarder.sources.pieces import text_of

_LENGTH_BYTES = 4
_length = Struct(">I").unpack_from
# What nearly all records begin with: length, field 1 with the tag of field 2, a time of our days, which takes
# nine bytes of seven bits each with the lowest first, the tag of field 3, and a length below 128.
_HEAD_BYTES = 24
_head = Struct(">I9sI5sBB").unpack_from
_STREAMS = {b"\n\x06stdout\x10": "stdout", b"\n\x06stderr\x10": "stderr"}
_LINE_TAG = 0x1A
_MORE = 0x80808080  # the bits that say that a number's bytes go on
_MARK = b"\n\x06std"
# Above the largest entry (16 KiB of line, and what describes it): what claims to be longer is damaged, and of
# what has no record in it no more than this is kept for later.
_MOST_BYTES = 64 * 1024
# What a fingerprint is made of where a file begins with damage.
_BEGINNING_BYTES = 64
_SECOND_NS = 1_000_000_000
# Wire types of protobuf, and the sizes of those that say none.
_VARINT, _BYTES = 0, 2
_FIXED_BYTES = {1: 8, 5: 4}


class Local:
    """Reads blocks of a ``local`` log."""

    file_name = "local-logs/container.log"

    def first_record(self, block: bytes) -> bytes | None:
        """Return the first record in the first block of a file; None if it is not whole."""
        if len(block) < _LENGTH_BYTES:
            return None
        (length,) = _length(block)
        # Where the file begins with damage, its beginning stands for it.
        size = length + 2 * _LENGTH_BYTES if 0 < length <= _MOST_BYTES else _BEGINNING_BYTES
        return block[:size] if len(block) >= size else None

    def decode(self, block: bytes, offset: int) -> Decoded:
        """Return the whole records at the beginning of ``block``, which stands at ``offset`` in its file."""
        records: list[Event] = []
        starts: list[int] = []
        corrupt = 0
        at = _run(block, 0, records, starts)
        while (found := _behind_damage(block, at)) > at:
            corrupt += 1
            at = _run(block, found, records, starts)
        return Decoded(records, [offset + start for start in starts], at, corrupt)

    def end(self, block: bytes) -> int:
        """Return where the last whole record in the last block of a file ends, 0 if there is none."""
        begin = block.rfind(_MARK) - _LENGTH_BYTES
        while begin >= 0:
            if end := _whole(block, begin):
                return end
            begin = block.rfind(_MARK, 0, begin + _LENGTH_BYTES) - _LENGTH_BYTES
        return 0


def _run(block: bytes, at: int, records: list[Event], starts: list[int]) -> int:
    """Add records and their places until one is not whole or damaged, and return where that begins.

    What nearly all are, a whole line in UTF-8 of our days, is decoded here and without a call, which would
    take as long as the rest; all others field by field.
    """
    known, base, second, clock = b"", -1, "", ""
    last_length, last = len(block) - _LENGTH_BYTES, len(block) - _HEAD_BYTES
    while at < last:
        length, source, low, top, tag, size = _head(block, at)
        end = at + _LENGTH_BYTES + length
        if end > last_length or _length(block, end)[0] != length:
            break
        if top != known:
            known, base = top, _high_bits(top)
        begin = at + _HEAD_BYTES
        if size >= 0x80:
            size, begin = size & 0x7F | block[begin] << 7, begin + 1
        stream = _STREAMS.get(source)
        record: Event | None = None
        if stream and base >= 0 and low & _MORE == _MORE and tag == _LINE_TAG and begin + size == end:
            nanos = base | low >> 24 & 0x7F | low >> 9 & 0x3F80 | low << 6 & 0x1FC000 | low << 21 & 0xFE00000
            digits = str(nanos)
            if digits[:-9] != second:
                second = digits[:-9]
                clock = _second_text(int(second))
            try:
                log = block[begin:end].decode() + "\n"
            except UnicodeDecodeError:
                log = text_of(block[begin:end], ends=True)
            record = Event(log, stream, f"{clock}.{digits[-9:]}Z")
        elif (record := _entry(block[at + _LENGTH_BYTES : end])) is None:
            break
        records.append(record)
        starts.append(at)
        at = end + _LENGTH_BYTES
    return at


def _high_bits(top: bytes) -> int:
    """Return what the last five of a varint's nine bytes stand for; -1 if it is of another length."""
    try:
        bits, end = _varint(top, 0)
    except (IndexError, ValueError):
        return -1
    return bits << 28 if end == len(top) else -1


def _entry(packed: bytes) -> Event | None:
    """Return the record in an entry of whatever shape; None if there is none."""
    try:
        numbers, texts = _fields(packed)
        nanos = _signed(numbers[2])
        last = _fields(texts[5][-1])[0].get(1) if 5 in texts else 0
        line = texts[3][-1] if 3 in texts else b""
        second = nanos // _SECOND_NS
        return Event(
            text_of(line, ends=bool(last or not numbers.get(4))),
            texts[1][-1].decode(),
            f"{_second_text(second)}.{nanos - second * _SECOND_NS:09d}Z",
            _attributes(texts[6]) if 6 in texts else None,
        )
    except (LookupError, ValueError, OverflowError):
        return None


def _attributes(packed: Sequence[bytes]) -> dict[str, str]:
    pairs = [_fields(each)[1] for each in packed]
    return {pair[1][-1].decode(): pair[2][-1].decode() if 2 in pair else "" for pair in pairs}


def _fields(packed: bytes) -> tuple[dict[int, int], dict[int, list[bytes]]]:
    """Return numbers and byte strings of a message by their fields; raises IndexError or ValueError."""
    numbers: dict[int, int] = {}
    texts: dict[int, list[bytes]] = {}
    at = 0
    while at < len(packed):
        tag, at = _varint(packed, at)
        if tag & 7 == _VARINT:
            numbers[tag >> 3], at = _varint(packed, at)
        elif tag & 7 == _BYTES:
            length, at = _varint(packed, at)
            texts.setdefault(tag >> 3, []).append(packed[at : at + length])
            at += length
        else:
            at += _FIXED_BYTES[tag & 7]
    if at != len(packed):
        raise ValueError(at)
    return numbers, texts


def _varint(packed: bytes, at: int) -> tuple[int, int]:
    """Return the number at a place, seven bits in each byte, the lowest first, and where it ends."""
    number = 0
    for shift in range(0, 64, 7):
        byte = packed[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise ValueError(number)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _second_text(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _whole(block: bytes, begin: int) -> int:
    """Return where the record at a place ends; 0 if there is none, or not all of it."""
    end = begin + _LENGTH_BYTES + _length(block, begin)[0]
    agree = block[end : end + _LENGTH_BYTES] == block[begin : begin + _LENGTH_BYTES]
    return end + _LENGTH_BYTES if agree and _entry(block[begin + _LENGTH_BYTES : end]) else 0


def _behind_damage(block: bytes, at: int) -> int:
    """Return where the next record begins behind a place without one; the place itself if none is there yet.

    No line has a newline in it, so the mark of an entry is not found in one.
    """
    mark = block.find(_MARK, at + _LENGTH_BYTES + 1)
    while mark >= 0:
        if _whole(block, mark - _LENGTH_BYTES):
            return mark - _LENGTH_BYTES
        mark = block.find(_MARK, mark + 1)
    return max(at, len(block) - _MOST_BYTES)
