"""Frames of Lumberjack v2, which Beats speak to Logstash.

A frame is the version ``2``, a letter, and content with big-endian numbers of 32 bits: ``W`` the count of a
window's events, ``J`` sequence number, length and one JSON document, ``C`` length and frames packed with
zlib, and, from the server, ``A`` the number of the last event that it has. Numbers begin with 1 in each
window.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.deflate import deflated

# As many events as Filebeat puts into a window, which every server is used to …
MOST_EVENTS = 2048
# … and as many bytes, before compression, as every server has memory for.
MOST_BYTES = 4 * 1024 * 1024
_WINDOW = struct.Struct(">2sI")
_JSON = struct.Struct(">2sII")
_ACK = b"2A"
_ACK_BYTES = 6


def windows(documents: Sequence[bytes], *, compress: bool) -> Iterator[bytes]:
    """Yield windows with all documents, in order, each ready to be sent."""
    begin = size = 0
    for place, document in enumerate(documents):
        if place > begin and (place - begin == MOST_EVENTS or size + len(document) > MOST_BYTES):
            yield window(documents[begin:place], compress=compress)
            begin, size = place, 0
        size += len(document)
    if documents:
        yield window(documents[begin:], compress=compress)


def window(documents: Sequence[bytes], *, compress: bool) -> bytes:
    """Return one window."""
    head = _JSON.pack
    frames: list[bytes] = []
    for number, document in enumerate(documents, 1):
        frames += (head(b"2J", number, len(document)), document)
    body = b"".join(frames)
    if compress:
        packed = deflated(body)
        body = _WINDOW.pack(b"2C", len(packed)) + packed
    return _WINDOW.pack(b"2W", len(documents)) + body


def events_in(data: bytes) -> int:
    """Return the number of events in a window."""
    count: int = _WINDOW.unpack_from(data)[1]
    return count


class Acknowledgements:
    """Cuts what a server sends into the numbers that it acknowledges."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[int]:
        """Return the numbers in ``data`` and in what was left over; SinkUnavailable for anything else."""
        self._rest += data
        numbers: list[int] = []
        while self._rest:
            if not self._rest.startswith(_ACK[: len(self._rest)]):
                raise SinkUnavailable(
                    "the server answers in something that is not Lumberjack v2",
                    remedy="check that the address is that of a beats input, and whether it needs tls=1",
                )
            if len(self._rest) < _ACK_BYTES:
                break
            numbers.append(int.from_bytes(self._rest[len(_ACK) : _ACK_BYTES], "big"))
            self._rest = self._rest[_ACK_BYTES:]
        return numbers
