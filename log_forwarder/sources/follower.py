"""Reading one container's files for one sink, from its position to the end, and keeping that position."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Protocol

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.cursor import Cursor, Losses, end_of
from log_forwarder.sources.generation import BLOCK_BYTES, Generation
from log_forwarder.sources.jsonfile import Decoded
from log_forwarder.sources.pieces import Joiner
from log_forwarder.sources.settling import Settling
from log_forwarder.transforms.pipeline import Pipeline

# So much is marked as sent ahead of the sending: the more, the more is looked up after a kill; the less, the
# more often it is written down.
RESERVE_BYTES = 2 * 1024 * 1024
# Docker writes the pieces of a line as they come, so most lines have all of theirs at once. What one that has
# no end (a bar that shows progress) keeps from being settled is everything behind it.
OPEN_LINE_SECONDS = 60.0


class Format(Protocol):
    """A format of log files."""

    file_name: str

    def first_record(self, block: bytes) -> bytes | None:
        """Return the first record in the first block of a file, None if it is not whole yet."""

    def end(self, block: bytes) -> int:
        """Return where the last whole record in the last block of a file ends, 0 if there is none."""

    def decode(self, block: bytes, offset: int) -> Decoded:
        """Return the whole records at the beginning of a block."""


class Books(Protocol):
    """What is remembered of one container for one sink.

    ``position`` is the last one that was kept, None for a container that is new to the sink. Before
    ``reserved`` lines may have been sent in an earlier life, None if none was.
    """

    position: Position | None
    reserved: Mark | None

    def keep(self, position: Position) -> None:
        """Hear of a position before which everything is settled."""

    def reserve(self, mark: Mark) -> None:
        """Remember durably that lines before ``mark`` may be sent from now on; raises StateError."""


class Follower:
    """Turns a chain of files into batches.

    With ``from_now`` a container that is new to the sink begins at its end. One thread reads, another
    settles.
    """

    def __init__(
        self,
        container: Container,
        chain: Chain,
        format_: Format,
        books: Books,
        *,
        pipeline: Pipeline | None = None,
        from_now: bool = False,
    ) -> None:
        self.container = container
        self._chain = chain
        self._cursor = Cursor(chain, container.name)
        self._format = format_
        self._books = books
        self._reserved = books.reserved
        self._suspect_until = books.reserved
        self._joiner = Joiner()
        self._pipeline = None if pipeline is None or pipeline.empty else pipeline
        self._settling = Settling(self._keep)
        self._keeps = Mark("", 0)
        self._replayed: Position | None = None
        self._moved = False
        self._newest = ""
        self._unsent = 0  # bytes of blocks since the last batch
        self._closed = False
        self._position = books.position
        self._from_now = from_now
        self._began = False
        self._reading = threading.Lock()
        self._begin()

    @property
    def losses(self) -> Losses:
        """What of the log could not be read."""
        return self._cursor.losses

    @property
    def offset(self) -> int:
        """Where in its file the follower is."""
        return self._cursor.offset

    def read(self) -> Batch | None:
        """Return the next batch; None when there is nothing more at the moment. Raises OSError."""
        with self._reading:
            return self._read()

    def _read(self) -> Batch | None:
        cursor = self._cursor
        while not self._closed:
            if not self._began:
                self._begin()
            if cursor.generation is None and not cursor.enter_oldest():
                return None
            if (generation := cursor.generation) is None:
                return None
            final = generation.final  # before reading: what is final has its last byte
            block = cursor.block()
            if (batch := self._digest(generation, block)) is not None:
                return batch
            if block and self._progressed(block, final=final):
                continue
            if not final or not cursor.advance():
                # What was written between the last look and the removal is still to be read.
                over = final and self._chain.removed
                return self._rest(generation) if over else self._due(generation)
        return None

    def holds(self) -> bool:
        """Tell whether lines are held back, which come out when nothing follows for a while."""
        return bool(self._held())

    def settled(self, batch: Batch) -> None:
        """Take note of a settled batch, and keep the position before which all are."""
        self._settling.settle(batch)

    def needs(self) -> Mark:
        """Return from where on a restart would read; its generation is empty if that is not known."""
        return self._keeps

    def unsettled(self) -> int:
        """Return how many batches are on their way."""
        return len(self._settling)

    def oldest_age(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been on its way; 0 without any."""
        return self._settling.oldest_age(now)

    def behind(self) -> int:
        """Return the bytes of source that are not read yet."""
        return self._cursor.left()

    def newest(self) -> str:
        """Return Docker's time of the last record that was read; empty before the first."""
        return self._newest

    def drained(self) -> bool:
        """Tell whether a removed container's log is read and settled to its end."""
        if not self._chain.removed or not self._reading.acquire(blocking=False):
            return False  # what is being read is neither unread nor on its way yet
        try:
            return self._cursor.at_last() and not (self._settling or self._held() or self.behind())
        finally:
            self._reading.release()

    def close(self) -> None:
        """Let go of the reader: nothing more is read."""
        self._closed = True
        self._cursor.leave()

    def _keep(self, position: Position) -> None:
        self._keeps = self._earliest(position)
        self._books.keep(position)

    def _earliest(self, position: Position) -> Mark:
        """Return from where on lines of a position are to be read again."""
        marks = [position.mark, *(mark for _, mark in position.held)]
        return min(marks, key=self._cursor.place)

    # -- where to begin

    def _begin(self) -> None:
        """Find the place to read from, as soon as there is a file."""
        if not self._chain.generations:
            if self._from_now and self._position is None:
                # Whatever comes, comes from now on.
                self._position = Position(Mark("", 0))
                self._keep(self._position)
            return
        if self._position is not None:
            self._resume(self._position)
        elif self._from_now:
            self._enter_end(self._chain.generations[-1])
        self._began = True

    def _resume(self, position: Position) -> None:
        """Go on where a run before this one stopped, rereading the lines that were not complete then."""
        for each in self._chain.generations:
            self._chain.identify(each)
        earliest = self._earliest(position)
        if self._cursor.enter_at(earliest):
            if earliest != position.mark:
                self._replayed = position
        elif self._cursor.enter_at(position.mark) or position.mark.generation:
            self._cursor.note_gaps(1)
        if position.mark.generation:
            self._keeps = earliest

    def _enter_end(self, generation: Generation) -> None:
        """Go behind the last whole record, and keep that place, so that a restart does not skip more."""
        self._cursor.enter(generation)
        if not self._chain.identify(generation):
            # An empty file: now is the end of the one before, or the beginning of everything.
            before = self._chain.generations[-2:-1]
            name = self._chain.identify(before[0]) if before else ""
            self._keep(Position(Mark(name, end_of(before[0]) if name else 0)))
            return
        start, block = self._cursor.last_block()
        self._cursor.offset = start + self._format.end(block)
        self._keep(Position(Mark(generation.name, self._cursor.offset)))

    # -- going on

    def _progressed(self, block: bytes, *, final: bool) -> bool:
        """Tell whether there is more to read although ``block`` made no batch; leave what is no record."""
        whole = len(block) == BLOCK_BYTES
        if self._moved:
            return whole or final
        if whole or final:
            # No record is so long, and nothing more is written to the end of a final file.
            self.losses.corrupt += 1
            self._cursor.offset += len(block)
            return True
        return False

    def _digest(self, generation: Generation, block: bytes) -> Batch | None:
        """Return a batch of the lines that ``block`` completes, if any, and go behind its whole records."""
        self._moved = False
        name = self._chain.identify(generation) if block else ""
        if not name:
            return None
        cursor = self._cursor
        decoded = self._format.decode(block, cursor.offset)
        # First, because it may fail, and what was read is then read once more.
        self._make_known(name, cursor.offset + decoded.size)
        self._moved = decoded.size > 0
        self._unsent += decoded.size
        cursor.losses.corrupt += decoded.corrupt
        if decoded.records:
            self._newest = decoded.records[-1].time
        again = self._may_be_sent(name)
        cursor.offset += decoded.size
        records, starts = self._unread(decoded, name)
        lines = self._joiner.join(records, starts, name, f"{self.container.short_id}.{name}.")
        return self._batch(self._transformed(lines), name, again=again) if lines else None

    def _transformed(self, lines: list[Event]) -> list[Event]:
        return self._pipeline.apply(lines) if self._pipeline else lines

    def _held(self) -> tuple[tuple[str, Mark], ...]:
        """Return where lines begin that are not complete, or held back by a transform, for each stream."""
        if self._pipeline is None:
            return self._joiner.held()
        # What a transform holds came before what is not complete yet.
        return tuple((dict(self._joiner.held()) | dict(self._pipeline.held())).items())

    def _may_be_sent(self, name: str) -> bool:
        """Tell whether the lines from here on, or those held back, may have been sent in an earlier life."""
        place = self._cursor.place
        marks = [Mark(name, self.offset), *(mark for _, mark in self._held())]
        if self._suspect_until and min(map(place, marks)) >= place(self._suspect_until):
            self._suspect_until = None
        return self._suspect_until is not None

    def _make_known(self, name: str, offset: int) -> None:
        """Write down that lines up to ``offset`` may be sent, in large steps, before they are."""
        place = self._cursor.place
        if self._reserved is None or place(self._reserved) < place(Mark(name, offset)):
            mark = Mark(name, offset + RESERVE_BYTES)
            self._books.reserve(mark)
            self._reserved = mark

    def _unread(self, decoded: Decoded, name: str) -> tuple[Sequence[Event], Sequence[int]]:
        """Leave out what was shipped before: all but the lines that were not complete then."""
        before = self._replayed
        if before is None:
            return decoded.records, decoded.starts
        held = dict(before.held)
        end = before.mark
        kept = [
            (record, start)
            for record, start in zip(decoded.records, decoded.starts, strict=True)
            if self._at_or_after(name, start, end)
            or (record.stream in held and self._at_or_after(name, start, held[record.stream]))
        ]
        if self._at_or_after(name, self.offset, end):
            self._replayed = None
        return [record for record, _ in kept], [start for _, start in kept]

    def _at_or_after(self, name: str, offset: int, mark: Mark) -> bool:
        return self._cursor.place(Mark(name, offset)) >= self._cursor.place(mark)

    def _batch(self, lines: list[Event], name: str, *, again: bool) -> Batch:
        # While lines are read once more, everything before the old mark but for theirs is settled already.
        mark = self._replayed.mark if self._replayed else Mark(name, self.offset)
        end = Position(mark, self._held())
        batch = Batch(self.container, lines, self._unsent, end, self, again)
        self._unsent = 0
        self._settling.add(batch)
        return batch

    def _rest(self, generation: Generation) -> Batch | None:
        """Return the lines that will never be completed, once the container is gone."""
        if not self._held():
            return None
        again = self._may_be_sent(generation.name)
        lines = self._transformed(self._joiner.flush())
        if self._pipeline:
            lines += self._pipeline.due(time.monotonic(), everything=True)
        return self._batch(lines, generation.name, again=again)

    def _due(self, generation: Generation) -> Batch | None:
        """Return the lines that were held back long enough."""
        if not self._held():
            return None
        again = self._may_be_sent(generation.name)
        now = time.monotonic()
        lines = self._transformed(self._joiner.overdue(now - OPEN_LINE_SECONDS))
        lines += self._pipeline.due(now) if self._pipeline else []
        return self._batch(lines, generation.name, again=again) if lines else None
