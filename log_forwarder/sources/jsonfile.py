r"""The format of Docker's json-file log driver (moby daemon/logger/jsonfilelog/jsonlog).

One JSON object a line,
``{"log":"text\n","stream":"stdout","attrs":{…},"time":"2026-01-02T03:04:05.6789Z"}``, where ``log`` ends
with a newline unless it is a piece of a longer line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import msgspec

from compose_agent.typed import json_decoder
from log_forwarder.event import Event

_decode = json_decoder(Event).decode
# What the decoder raises on damaged bytes: broken JSON or UTF-8, a record of another shape, endless nesting.
_DAMAGE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BEGIN = b'{"log":'


@dataclass(frozen=True, slots=True)
class Decoded:
    """Records with their offsets, how many bytes they took, and how many places could not be read."""

    records: Sequence[Event]
    starts: Sequence[int]
    size: int
    corrupt: int = 0


class JsonFile:
    """Reads blocks of a json-file log."""

    file_name = "{id}-json.log"

    def first_record(self, block: bytes) -> bytes | None:
        """Return the first record in the first block of a file; None if it is not whole."""
        end = block.find(b"\n")
        return block[:end] if end >= 0 else None

    def end(self, block: bytes) -> int:
        """Return where the last whole record in the last block of a file ends, 0 if there is none."""
        return block.rfind(b"\n") + 1

    def decode(self, block: bytes, offset: int) -> Decoded:
        """Return the whole records at the beginning of ``block``, which stands at ``offset`` in its file."""
        lines = block.split(b"\n")
        rest = lines.pop()
        starts = [*accumulate((len(line) + 1 for line in lines), initial=offset)]
        starts.pop()
        try:
            return Decoded([*map(_decode, lines)], starts, len(block) - len(rest))
        except _DAMAGE:
            return _salvaged(lines, starts, len(block) - len(rest))


def _salvaged(lines: Sequence[bytes], starts: Sequence[int], size: int) -> Decoded:
    """Decode line by line, leaving out what is damaged."""
    records: list[Event] = []
    places: list[int] = []
    corrupt = 0
    for line, start in zip(lines, starts, strict=True):
        try:
            record = _decode(line)
        except _DAMAGE:
            corrupt += 1
            if (found := _last_whole(line)) is None:
                continue
            record = found
        records.append(record)
        places.append(start)
    return Decoded(records, places, size, corrupt)


def _last_whole(line: bytes) -> Event | None:
    """Return the record behind NUL bytes or behind a torn one: the next begins where the last begins anew."""
    begin = line.rfind(_BEGIN)
    while begin >= 0:
        try:
            return _decode(line[begin:])
        except _DAMAGE:
            begin = line.rfind(_BEGIN, 0, begin)  # the text of a line may contain the mark too
    return None
