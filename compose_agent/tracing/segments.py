"""Segments of the spool: files of frames, each with its length and a checksum.

====================  ===============================================================
4 bytes, big-endian   length of the payload
4 bytes, big-endian   CRC-32 of the payload
payload               MessagePack: the first a ``Header``, all others a ``Group`` each
====================  ===============================================================

A frame is appended with one ``write``. A process that is killed may leave a torn one at the end, at which
the next start stops reading: whoever wrote it was never told that it is there.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from compose_agent.tracing.records import Group, Header
from compose_agent.typed import msgpack_decoder

VERSION = 1
# Above any group that is written; what says more is no frame of ours.
MOST_FRAME_BYTES = 1 << 20
_FRAME = struct.Struct(">II")
_NAME = re.compile(r"([0-9]{12})\.spans")

_encoder = msgspec.msgpack.Encoder()
_headers = msgpack_decoder(Header)
_groups = msgpack_decoder(Group)


@dataclass(slots=True)
class Segment:
    """One file: ``count`` spans are in it, ``size`` bytes of it are whole frames."""

    number: int
    path: Path
    header: Header
    first: int  # where the groups begin
    count: int
    size: int

    @property
    def base(self) -> int:
        """How many spans came before those of this segment."""
        return self.header.base

    @property
    def end(self) -> int:
        """How many spans there are up to its end."""
        return self.base + self.count


def frame(value: Header | Group) -> bytes:
    """Return a value as it is appended; raises TypeError, ValueError, OverflowError."""
    payload = _encoder.encode(value)
    return _FRAME.pack(len(payload), zlib.crc32(payload)) + payload


def path_of(folder: Path, number: int) -> Path:
    """Return where the segment of this number lies."""
    return folder / f"{number:012}.spans"


def numbers(folder: Path) -> list[int]:
    """Return the numbers of the segments in a folder, oldest first; raises OSError."""
    found = (_NAME.fullmatch(each.name) for each in folder.iterdir())
    return sorted(int(each[1]) for each in found if each)


def opened(folder: Path, number: int) -> Segment | None:
    """Return a segment with its header, as if it had no spans; None if it is none. Raises OSError."""
    path = path_of(folder, number)
    with path.open("rb") as file:
        data = file.read(_FRAME.size + MOST_FRAME_BYTES)
        size = os.fstat(file.fileno()).st_size
    header, first = _header(data)
    return None if header is None else Segment(number, path, header, first, 0, size)


def read(segment: Segment, offset: int) -> Iterator[tuple[Group, int]]:
    """Yield each whole group from an offset on, and where it ends; raises OSError."""
    with segment.path.open("rb") as file:
        file.seek(offset)
        while (payload := _payload(file.read(_FRAME.size), file.read)) is not None:
            try:
                yield _groups.decode(payload), (offset := offset + _FRAME.size + len(payload))
            except msgspec.DecodeError:
                return


def _header(data: bytes) -> tuple[Header | None, int]:
    rest = memoryview(data)[_FRAME.size :]
    payload = _payload(data[: _FRAME.size], lambda size: bytes(rest[:size]))
    if payload is None:
        return None, 0
    try:
        header = _headers.decode(payload)
    except msgspec.DecodeError:
        return None, 0
    return (header if header.version == VERSION else None), _FRAME.size + len(payload)


def _payload(head: bytes, more: Callable[[int], bytes]) -> bytes | None:
    if len(head) < _FRAME.size:
        return None
    length, checksum = _FRAME.unpack(head)
    if length > MOST_FRAME_BYTES:
        return None
    payload = more(length)
    return payload if len(payload) == length and zlib.crc32(payload) == checksum else None
