"""Lines out of pieces: Docker cuts lines into 16 KiB and writes the pieces of several in turn."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from log_forwarder.event import Event, Mark

# moby daemon/logger/copier.go, defaultBufSize: a piece that is shorter and has no newline is the last thing
# that its stream said.
PIECE_BYTES = 16 * 1024
# A line that grows beyond this is shipped in several events; sinks refuse what is much larger.
MAX_LINE_CHARACTERS = 8 * 1024 * 1024
# Marks the id of a line's beginning that was shipped without its end.
BEGINNING = "~"
# Stands for the newline behind a text with bytes in it that are no UTF-8. No such byte is decoded to it.
RAW_END = "\udc0a"
_RAW = re.compile("[\udc80-\udcff]")


def text_of(piece: bytes, *, ends: bool) -> str:
    """Return the text of a piece as a :class:`Joiner` takes it; ``ends`` if it ends its line.

    Of a piece that ends within a character, and of one that is no UTF-8 at all, the odd bytes are kept as
    surrogates until its line is whole.
    """
    try:
        return piece.decode() + "\n" if ends else piece.decode()
    except UnicodeDecodeError:
        return piece.decode("utf-8", "surrogateescape") + (RAW_END if ends else "")


@dataclass(slots=True)
class _Open:
    """A line whose end has not come yet."""

    first: Event
    mark: Mark
    pieces: list[str]
    size: int
    grown: float = field(default_factory=time.monotonic)

    def line(self) -> Event:
        self.first.log = _mended("".join(self.pieces).removesuffix("\n").removesuffix(RAW_END))
        return self.first


class Joiner:
    """Joins the pieces of one container's lines, for each stream on its own.

    All pieces of a line carry the time of the first one, so that another time begins another line, also where
    the one before never ended because its process did.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}

    def join(
        self, records: Iterable[Event], starts: Sequence[int], generation: str, prefix: str
    ) -> list[Event]:
        """Return the lines that ``records`` complete, with ids.

        A record's ``log`` ends with a newline (see :func:`text_of`) if it ends its line; ``starts`` has the
        records' offsets in ``generation``; ``prefix`` and the offset make an event's id.
        """
        lines: list[Event] = []
        waiting = self._open
        for record, start in zip(records, starts, strict=True):
            log = record.log
            if log[-1:] == "\n" and record.stream not in waiting:
                record.log = log[:-1]
                record.id = f"{prefix}{start:010x}"
                lines.append(record)
            else:
                self._add(record, Mark(generation, start), prefix, lines)
        return lines

    def flush(self) -> list[Event]:
        """Return what is left of lines that nobody will end, oldest first."""
        lines = sorted((each.line() for each in self._open.values()), key=lambda line: line.time)
        self._open.clear()
        return lines

    def overdue(self, limit: float) -> list[Event]:
        """Return the beginnings of lines to which nothing was added since ``limit`` (monotonic).

        What is still to come of them is a line of its own. A beginning has an id of its own too: after a kill
        the line may be read whole, and must not be taken for what is stored already.
        """
        streams = [stream for stream, each in self._open.items() if each.grown < limit]
        lines = [self._open.pop(stream).line() for stream in streams]
        for line in lines:
            line.id += BEGINNING
        return lines

    def held(self) -> tuple[tuple[str, Mark], ...]:
        """Return the streams with an open line, and where each begins."""
        return tuple((stream, each.mark) for stream, each in self._open.items()) if self._open else ()

    def _add(self, record: Event, mark: Mark, prefix: str, lines: list[Event]) -> None:
        waiting = self._open.get(record.stream)
        if waiting and waiting.first.time != record.time:
            lines.append(self._open.pop(record.stream).line())
            waiting = None
        if waiting is None:
            record.id = f"{prefix}{mark.offset:010x}"
            waiting = self._open[record.stream] = _Open(record, mark, [], 0)
        waiting.pieces.append(record.log)
        waiting.size += len(record.log)
        waiting.grown = time.monotonic()
        if _ends(waiting.pieces[-1]) or waiting.size > MAX_LINE_CHARACTERS:
            lines.append(self._open.pop(record.stream).line())


def _ends(piece: str) -> bool:
    """Tell whether nothing of the same line follows a piece."""
    return piece.endswith(("\n", RAW_END)) or len(piece.encode("utf-8", "surrogateescape")) < PIECE_BYTES


def _mended(text: str) -> str:
    """Return a line whose pieces may have been cut within characters.

    Each byte that is no UTF-8 becomes U+FFFD, as in what the json-file driver writes.
    """
    if text.isascii() or not _RAW.search(text):
        return text
    return _RAW.sub("\ufffd", text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"))
