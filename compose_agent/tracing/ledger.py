"""What became of spans, on disk: counts that hold over a kill at any moment.

``created = exported + spooled + dropped`` holds for every state that can be found on disk: a span is created
when it is in the spool, or when it is counted as dropped without ever having been there.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter
from pathlib import Path

import msgspec

from compose_agent.typed import from_msgpack

# Two places, written in turn: one of them is whole whatever happens, and a full disk has room for both.
_SLOT_BYTES = 2048
_SLOT = struct.Struct(">IIQ")  # length, CRC-32, and how often the ledger was written


class Counts(msgspec.Struct):
    """``settled`` spans, in the order in which they came, are exported or were dropped from the spool.

    ``dropped`` counts the latter by reason, ``unwritten`` those that were never in the spool.
    """

    settled: int = 0
    exported: int = 0
    dropped: dict[str, int] = {}
    unwritten: dict[str, int] = {}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all spans since the spool was made: ``created = exported + spooled + sum(dropped)``."""

    created: int = 0
    exported: int = 0
    spooled: int = 0
    dropped: dict[str, int] = {}


def account(counts: Counts, written: int) -> Account:
    """Return the account when ``written`` spans were ever put into the spool."""
    dropped = Counter(counts.dropped) + Counter(counts.unwritten)
    return Account(
        created=written + sum(counts.unwritten.values()),
        exported=counts.exported,
        spooled=written - counts.settled,
        dropped=dict(dropped),
    )


class Ledger:
    """The file ``ledger`` in a folder; the constructor raises OSError. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / "ledger", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.counts, self._written = _newest(os.pread(self._file, 2 * _SLOT_BYTES, 0))

    def save(self) -> None:
        """Write the counts; raises OSError, and the ones before are still there then."""
        payload = msgspec.msgpack.encode(self.counts)
        written = self._written + 1
        checksum = zlib.crc32(payload, written & 0xFFFFFFFF)
        slot = (_SLOT.pack(len(payload), checksum, written) + payload).ljust(_SLOT_BYTES, b"\0")
        os.pwrite(self._file, slot, _SLOT_BYTES * (written % 2))
        self._written = written

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(folder: Path) -> Counts:
    """Return the counts that lie in a folder, nothing at all if there are none; raises OSError."""
    try:
        return _newest((folder / "ledger").read_bytes())[0]
    except FileNotFoundError:
        return Counts()


def _newest(data: bytes) -> tuple[Counts, int]:
    found = [_slot(data[at : at + _SLOT_BYTES]) for at in (0, _SLOT_BYTES)]
    return max(found, key=lambda each: each[1])


def _slot(data: bytes) -> tuple[Counts, int]:
    if len(data) < _SLOT.size:
        return Counts(), 0
    length, checksum, written = _SLOT.unpack_from(data)
    payload = data[_SLOT.size : _SLOT.size + length]
    if len(payload) < length or zlib.crc32(payload, written & 0xFFFFFFFF) != checksum:
        return Counts(), 0
    try:
        return from_msgpack(payload, Counts), written
    except msgspec.DecodeError:
        return Counts(), 0
