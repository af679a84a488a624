"""The Engine's stream of a container's log, cut into the pieces that its log driver wrote.

``GET /containers/ID/logs`` with ``timestamps=1`` puts the time of its line before each piece. Without a
terminal each piece is a frame: the stream in a byte (1 output, 2 errors, 3 what the Engine has to say
itself), three zeros, the length in four bytes, the highest first. With a terminal there are the pieces alone.
Engine 20.10 leaves out the newline behind the last piece of a line that the driver ``local`` cut.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from compose_agent.dockerd.stream import Stream
from compose_agent.errors import EngineGarbage

if TYPE_CHECKING:
    from compose_agent.dockerd.answer import Answer

# The Engine reads what a container writes in blocks of this size; whatever is longer comes in pieces.
PIECE_BYTES = 16 * 1024
# A piece with 64 KiB of attributes, several times over. What claims to be longer is no frame.
MAX_FRAME_BYTES = 4 << 20
_HEADER_BYTES = 8
# The stream of what the Engine has to say of its own.
ENGINE = "engine"
_STREAMS = {1: "stdout", 2: "stderr", 3: ENGINE}
# RFC 3339 with nine digits, whatever they are: as long as that it can be cut off.
_STAMP = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9}Z ")
_STAMP_BYTES = 31


class Piece(NamedTuple):
    """What was written at once: stream, time of its line, and bytes with the newline that ends the line.

    What the Engine says of its own, such as that it cannot read further, is of the stream :data:`ENGINE`.
    """

    stream: str
    time: str
    data: bytes


class _Cutter(Protocol):
    def cut(self, chunk: bytes) -> list[Piece]: ...
    def rest(self) -> list[Piece]: ...


class LogStream(Stream):
    """What a container writes: the pieces of each chunk together."""

    def __init__(self, answer: Answer, *, tty: bool) -> None:
        super().__init__(answer, "log stream")
        self._cutter: _Cutter = Terminal() if tty else Frames()

    def __iter__(self) -> Iterator[list[Piece]]:
        """Yield pieces until the container stops or the stream is closed.

        Raises EngineUnreachable or EngineGarbage.
        """
        # The Engine sends each piece as a chunk of its own.
        for chunk in self._chunks():
            if pieces := self._cutter.cut(chunk):
                yield pieces
        if not self._closed and (pieces := self._cutter.rest()):
            yield pieces


class Frames:
    """Cuts the stream of a container without a terminal."""

    def __init__(self) -> None:
        self._pending = b""

    def cut(self, chunk: bytes) -> list[Piece]:
        """Return the pieces that a chunk completes; raises EngineGarbage."""
        data = self._pending + chunk if self._pending else chunk
        pieces: list[Piece] = []
        at = 0
        while len(data) - at >= _HEADER_BYTES:
            stream = _STREAMS.get(data[at])
            begin = at + _HEADER_BYTES
            size = int.from_bytes(data[at + 4 : begin], "big")
            if stream is None or size > MAX_FRAME_BYTES:
                raise EngineGarbage(f"no frame of a log: {data[at:begin]!r}")
            if len(data) < begin + size:
                break
            at = begin + size
            pieces.append(_stamped(stream, data[begin:at]))
        self._pending = data[at:]
        return pieces

    def rest(self) -> list[Piece]:
        """Return nothing: half a frame is sent again by the next stream."""
        return []


class Terminal:
    """Cuts the stream of a container with a terminal, where nothing but times tells pieces apart.

    A time within a line may be part of it; it begins a piece only where a chunk or a line begins, or behind
    a whole piece.
    """

    def __init__(self) -> None:
        self._pending = b""

    def cut(self, chunk: bytes) -> list[Piece]:
        """Return the pieces that are known to be whole."""
        pieces = []
        if self._pending and _STAMP.match(chunk):
            pieces, self._pending = self.rest(), chunk
        else:
            self._pending += chunk
        while (end := self._end()) > 0:
            pieces.append(_stamped("stdout", self._pending[:end]))
            self._pending = self._pending[end:]
        return pieces

    def rest(self) -> list[Piece]:
        """Return what came last, which no newline ends."""
        rest, self._pending = self._pending, b""
        return [_stamped("stdout", rest)] if rest else []

    def _end(self) -> int:
        """Return where the first piece ends; 0 if that is not known yet."""
        whole = _STAMP_BYTES + PIECE_BYTES
        newline = self._pending.find(b"\n", 0, whole)
        if newline >= 0:
            return newline + 1
        if _STAMP.match(self._pending, whole):
            return whole
        return self._pending.find(b"\n") + 1


def _stamped(stream: str, data: bytes) -> Piece:
    if stream == ENGINE or not _STAMP.match(data):
        return Piece(ENGINE, "", data)
    return Piece(stream, data[: _STAMP_BYTES - 1].decode("ascii"), data[_STAMP_BYTES:])
