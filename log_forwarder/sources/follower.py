"""Reading one container's files for one sink, from its position to the end, and keeping that position."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.generation import BLOCK_BYTES, Damaged, Generation, Reader
from log_forwarder.sources.jsonfile import Decoded
from log_forwarder.sources.pieces import Joiner
from log_forwarder.transforms.pipeline import Pipeline

logger = logging.getLogger(__name__)

# So much is marked as sent ahead of the sending: the more, the more is looked up after a kill; the less, the
# more often it is written down.
RESERVE_BYTES = 2 * 1024 * 1024


class Format(Protocol):
    """A format of log files."""

    file_name: str

    def first_record(self, block: bytes) -> bytes | None:
        """Return the first record in the first block of a file, None if it is not whole yet."""

    def end(self, block: bytes) -> int:
        """Return where the last whole record in the last block of a file ends, 0 if there is none."""

    def decode(self, block: bytes, offset: int) -> Decoded:
        """Return the whole records at the beginning of a block."""


@dataclass(slots=True)
class Losses:
    """What of a container's log could not be read: places that are damaged, bytes and files that are gone."""

    corrupt: int = 0
    gap_bytes: int = 0
    gaps: int = 0


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
        self.chain = chain
        self.losses = Losses()
        self.offset = 0
        self.generation: Generation | None = None
        self._format = format_
        self._books = books
        self._reserved = books.reserved
        self._suspect_until = books.reserved
        self._joiner = Joiner()
        self._pipeline = None if pipeline is None or pipeline.empty else pipeline
        self._reader: Reader | None = None
        self._open: deque[Batch] = deque()
        self._settled: set[int] = set()
        self._lock = threading.Lock()
        self._missed = chain.missed
        self._keeps = Mark("", 0)
        self._replayed: Position | None = None
        self._moved = False
        self._closed = False
        self._damaged: Generation | None = None
        self._position = books.position
        self._from_now = from_now
        self._began = False
        self._begin()

    def read(self) -> Batch | None:
        """Return the next batch; None when there is nothing more at the moment. Raises OSError."""
        while not self._closed:
            if not self._began:
                self._begin()
            if self.generation is None and not self._enter(self._oldest()):
                return None
            if (generation := self.generation) is None:
                return None
            final = generation.final  # before reading: what is final has its last byte
            block = self._block(generation)
            if (batch := self._digest(generation, block, final=final)) is not None:
                return batch
            if block and self._progressed(generation, block, final=final):
                continue
            if not final or not self._advance(generation):
                return self._rest(generation) if self.chain.removed else self._due(generation)
        return None

    def holds(self) -> bool:
        """Tell whether transforms hold lines back, which come out when nothing follows for a while."""
        return self._pipeline is not None and bool(self._pipeline.held())

    def settled(self, batch: Batch) -> None:
        """Take note of a settled batch, and keep the position before which all are."""
        with self._lock:
            self._settled.add(id(batch))
            last: Position | None = None
            while self._open and id(self._open[0]) in self._settled:
                first = self._open.popleft()
                self._settled.discard(id(first))
                last = first.end
            if last is not None:
                self._keep(last)

    def needs(self) -> Mark:
        """Return from where on a restart would read; its generation is empty if that is not known."""
        return self._keeps

    def unsettled(self) -> int:
        """Return how many batches are on their way."""
        return len(self._open)

    def oldest_age(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been on its way; 0 without any."""
        with self._lock:
            return now - self._open[0].read_at if self._open else 0.0

    def behind(self) -> int:
        """Return the bytes of source that are not read yet."""
        left = 0
        passed = self.generation is None
        for each in self.chain.generations:
            if self.generation is not None and same(each, self.generation):
                left, passed = max(0, each.size - self.offset), True
            elif passed:
                left += each.size - each.start
        return left

    def drained(self) -> bool:
        """Tell whether a removed container's log is read and settled to its end."""
        at_end = self.generation is None or (
            bool(self.chain.generations) and self.generation is self.chain.generations[-1]
        )
        return self.chain.removed and at_end and not self._open and not self._held() and not self.behind()

    def close(self) -> None:
        """Let go of the reader: nothing more is read."""
        self._closed = True
        self._leave()

    def _keep(self, position: Position) -> None:
        marks = [position.mark, *(mark for _, mark in position.held)]
        self._keeps = min(marks, key=self._place)
        self._books.keep(position)

    # -- where to begin

    def _begin(self) -> None:
        """Find the place to read from, as soon as there is a file."""
        if not self.chain.generations:
            if self._from_now and self._position is None:
                # Whatever comes, comes from now on.
                self._position = Position(Mark("", 0))
                self._keep(self._position)
            return
        if self._position is not None:
            self._resume(self._position)
        elif self._from_now:
            self._enter(self.chain.generations[-1])
            self._to_end()
        self._began = True

    def _resume(self, position: Position) -> None:
        """Go on where a run before this one stopped, rereading the lines that were not complete then."""
        for each in self.chain.generations:
            self.chain.identify(each)
        earliest = min(
            [position.mark, *(mark for _, mark in position.held)],
            key=self._place,
        )
        if (generation := self._named(earliest.generation)) is not None:
            self._enter_at(generation, earliest.offset)
            if earliest != position.mark:
                self._replayed = position
        elif (generation := self._named(position.mark.generation)) is not None:
            self._enter_at(generation, position.mark.offset)
            self._note_gaps(1)
        elif position.mark.generation and self.chain.generations:
            self._note_gaps(1)

        if position.mark.generation:
            self._keeps = earliest

    def _named(self, name: str) -> Generation | None:
        for each in self.chain.generations:
            if name and each.name == name:
                return each
        return None

    def _enter_at(self, generation: Generation, offset: int) -> None:
        """Go to a place in a file; if the file is shorter, what it had is gone, and what comes is new."""
        if not generation.compressed and offset > generation.end():
            self.losses.gaps += 1
            self._enter(self.chain.renew(generation))
        else:
            self._enter(generation)
            self.offset = offset

    def _order(self, name: str) -> int:
        names = [each.name for each in self.chain.generations]
        return names.index(name) if name and name in names else -1

    def _oldest(self) -> Generation | None:
        return self.chain.generations[0] if self.chain.generations else None

    def _to_end(self) -> None:
        """Go behind the last whole record, and keep that place, so that a restart does not skip more."""
        generation = self.generation
        if generation is None or self._reader is None:
            return
        if not self.chain.identify(generation):
            # An empty file: now is the end of the one before, or the beginning of everything.
            before = self.chain.generations[-2:-1]
            name = self.chain.identify(before[0]) if before else ""
            self._keep(Position(Mark(name, _end_of(before[0]) if name else 0)))
            return
        block = self._reader.read(max(0, generation.size - BLOCK_BYTES), BLOCK_BYTES)
        self.offset = max(0, generation.size - BLOCK_BYTES) + self._format.end(block)
        self._keep(Position(Mark(generation.name, self.offset)))

    # -- going on

    def _block(self, generation: Generation) -> bytes:
        """Return the next bytes; nothing at the end, and of what is lost or damaged."""
        if generation.lost or self._reader is None:
            return b""
        try:
            return self._reader.read(self.offset, BLOCK_BYTES)
        except Damaged:
            if generation is not self._damaged:
                self._damaged = generation
                self.losses.corrupt += 1
                self.losses.gaps += 1
            return b""

    def _leave(self) -> None:
        if self._reader:
            self._reader.close()
            self._reader = None

    def _enter(self, generation: Generation | None) -> bool:
        if generation is None:
            return False
        self._leave()
        self.generation = generation
        self._reader = generation.reader()
        self.offset = generation.start
        return True

    def _advance(self, generation: Generation) -> bool:
        """Go to the file after one that is read to its end; False if there is none yet."""
        self.losses.gaps += self.chain.missed - self._missed
        self._missed = self.chain.missed
        if generation.lost and generation.size > self.offset:
            self.losses.gaps += 1
            self.losses.gap_bytes += generation.size - self.offset
            self.offset = generation.size
        generations = self.chain.generations
        at = next((at for at, each in enumerate(generations) if same(each, generation)), None)
        if at is None:
            return self._enter(self._oldest())
        if generations[at] is not generation:  # a copy took its place
            offset = self.offset
            self._enter(generations[at])
            self.offset = offset
            return True
        if at + 1 == len(generations):
            return False
        following = generations[at + 1]
        if missing := self.chain.missing(generation.name, self.chain.identify(following)):
            self._note_gaps(missing)
        return self._enter(following)

    def _note_gaps(self, count: int) -> None:
        self.losses.gaps += count
        logger.error(
            "lines are lost: Docker removed files before they were read",
            extra={"container": self.container.name, "files": count},
        )

    def _progressed(self, generation: Generation, block: bytes, *, final: bool) -> bool:
        """Tell whether there is more to read although ``block`` made no batch; leave what is no record."""
        whole = len(block) == BLOCK_BYTES
        if self._moved:
            return whole or final
        if whole or final:
            # No record is so long, and nothing more is written to the end of a final file.
            self.losses.corrupt += 1
            self.offset += len(block)
            return True
        return False

    def _digest(self, generation: Generation, block: bytes, *, final: bool) -> Batch | None:
        """Return a batch of the lines that ``block`` completes, if any, and go behind its whole records."""
        self._moved = False
        name = self.chain.identify(generation) if block else ""
        if not name:
            return None
        decoded = self._format.decode(block, self.offset)
        # First, because it may fail, and what was read is then read once more.
        self._make_known(name, self.offset + decoded.size)
        self._moved = decoded.size > 0
        self.losses.corrupt += decoded.corrupt
        again = self._may_be_sent(name)
        self.offset += decoded.size
        records, starts = self._unread(decoded, name)
        lines = self._joiner.join(records, starts, name, f"{self.container.short_id}.{name}.")
        return self._batch(self._transformed(lines), decoded.size, name, again=again) if lines else None

    def _transformed(self, lines: list[Event]) -> list[Event]:
        return self._pipeline.apply(lines) if self._pipeline else lines

    def _held(self) -> tuple[tuple[str, Mark], ...]:
        """Return where lines begin that are not complete, or held back by a transform, for each stream."""
        if self._pipeline is None:
            return self._joiner.held()
        # What a transform holds came before what is not complete yet.
        return tuple((dict(self._joiner.held()) | dict(self._pipeline.held())).items())

    def _may_be_sent(self, name: str) -> bool:
        """Tell whether the lines from here on may have been sent in an earlier life."""
        if self._suspect_until and self._at_or_after(name, self.offset, self._suspect_until):
            self._suspect_until = None
        return self._suspect_until is not None

    def _make_known(self, name: str, offset: int) -> None:
        """Write down that lines up to ``offset`` may be sent, in large steps, before they are."""
        if self._reserved is None or self._place(self._reserved) < (self._order(name), offset):
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
        return self._place(Mark(name, offset)) >= self._place(mark)

    def _place(self, mark: Mark) -> tuple[int, int]:
        return self._order(mark.generation), mark.offset

    def _batch(self, lines: list[Event], size: int, name: str, *, again: bool) -> Batch:
        # While lines are read once more, everything before the old mark but for theirs is settled already.
        mark = self._replayed.mark if self._replayed else Mark(name, self.offset)
        end = Position(mark, self._held())
        batch = Batch(self.container, lines, size, end, self, again)
        with self._lock:
            self._open.append(batch)
        return batch

    def _rest(self, generation: Generation) -> Batch | None:
        """Return the lines that will never be completed, once the container is gone."""
        if not self._held():
            return None
        lines = self._transformed(self._joiner.flush())
        if self._pipeline:
            lines += self._pipeline.due(time.monotonic(), everything=True)
        return self._batch(lines, 0, generation.name, again=self._may_be_sent(generation.name))

    def _due(self, generation: Generation) -> Batch | None:
        """Return the lines that transforms have held long enough."""
        if self._pipeline is None or not (lines := self._pipeline.due(time.monotonic())):
            return None
        return self._batch(lines, 0, generation.name, again=self._may_be_sent(generation.name))


def same(one: Generation, other: Generation) -> bool:
    """Tell whether both are the same generation, maybe one a copy of the other."""
    return one is other or (bool(one.name) and one.name == other.name)


def _end_of(generation: Generation) -> int:
    """Return an offset behind everything in a file."""
    return sys.maxsize if generation.compressed else generation.end()
