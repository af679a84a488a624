"""The folder of a spool while a process holds it: its lock, its segments, its ledger."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_agent.tracing import segments
from compose_agent.tracing.chain import Chain, Place
from compose_agent.tracing.ledger import Account, Ledger, account
from compose_agent.tracing.records import Group, Span
from compose_agent.tracing.recovery import interrupted, recovered
from compose_agent.tracing.segments import Segment

# What became of spans that were in the spool; see registry.DROPPED.
FULL, ROTATED, DAMAGED = "spool_full", "rotated", "damaged"

# So many segments make up the size limit, so that room is made in small parts …
_PARTS = 32
# … and so large is one at most: what is read at once to be exported.
_MOST_SEGMENT, _LEAST_SEGMENT = 512 << 10, 4 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """``size`` bytes are on disk at most; of what the collector has, ``keep`` bytes stay for people."""

    size: int = 32 << 20
    keep: int = 4 << 20

    @property
    def segment(self) -> int:
        """How large one segment becomes."""
        return min(max(self.size // _PARTS, _LEAST_SEGMENT), _MOST_SEGMENT)


@dataclass(frozen=True, slots=True)
class Batch:
    """Spans of one resource that are to be exported; ``lost`` of those before ``after`` could not be read."""

    resource: Mapping[str, Any]
    spans: Sequence[Span]
    after: Place
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """Where the next batch is; the segment may grow, and be removed, while it is read."""

    segment: Segment
    place: Place
    end: int
    growing: bool

    def batch(self, most: int) -> Batch:
        """Return about ``most`` spans; raises OSError."""
        place, spans = self.place, []
        resource = self.segment.header.resource
        for group, offset in segments.read(self.segment, place.offset):
            spans += group.spans
            place = Place(place.number, offset, place.before + len(group.spans))
            if len(spans) >= most or place.before >= self.end:
                return Batch(resource, spans, place)
        if self.growing:
            return Batch(resource, spans, place)
        return Batch(resource, spans, Place(place.number, place.offset, self.end), self.end - place.before)


class Holding:
    """Takes a folder; raises OSError when it cannot be used, or another process has it. Not thread-safe.

    ``evicted`` is why spans are dropped that have to make room.
    """

    def __init__(self, folder: Path, resource: Mapping[str, Any], limits: Limits, evicted: str) -> None:
        for one in (folder.parent.parent, folder.parent, folder):  # the mode is that of the last one only
            one.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._limits = limits
        self._evicted = evicted
        with ExitStack() as held:  # nothing of it, or who tries again would find the folder taken
            held.callback(os.close, _locked(folder))
            found = recovered(folder)
            self._ledger = Ledger(folder)
            held.callback(self._ledger.close)
            self._chain = Chain(folder, resource, limits.segment, found, self._ledger.counts.settled)
            held.callback(self._chain.close)
            # What a kill has cut off is ended, so that those below have their parents.
            for each in found.begun.values():
                self._chain.append(Group(spans=[interrupted(each, found.last_at)]))
            self._next = self._chain.place(self._without_gap())
            self.make_room()
            self._held = held.pop_all()

    def append(self, group: Group) -> None:
        """Append a group; raises OSError, TooLarge, and ValueError and its like for what has no form."""
        before = len(self._chain.segments)
        self._chain.append(group)
        if len(self._chain.segments) != before:
            self.make_room()

    def mark(self, name: str) -> int | None:
        """Return the mark of this name that was appended last."""
        return self._chain.marks.get(name)

    def reading(self) -> Reading | None:
        """Return where the spans are that come next, None if there are none."""
        place, chain = self._next, self._chain
        if place.before >= chain.written:
            return None
        segment = chain.segment(place.number)
        while segment is None or place.before >= segment.end:  # a process may leave one with nothing in it
            if (segment := chain.following(place.number)) is None:
                return None
            place = Place(segment.number, segment.first, segment.base)
        return Reading(segment, place, segment.end, segment is chain.segments[-1])

    def settle(self, batch: Batch, rejected: Mapping[str, int]) -> None:
        """Count a batch as exported but for what was rejected, by reason; raises OSError."""
        counts = self._ledger.counts
        fresh = batch.after.before - counts.settled  # fewer if some had to make room meanwhile
        if fresh <= 0:
            return
        for reason, number in {DAMAGED: batch.lost, **rejected}.items():
            taken = min(number, fresh)  # a collector may say anything
            add(counts.dropped, reason, taken)
            fresh -= taken
        counts.exported += fresh
        counts.settled = batch.after.before
        self._next = batch.after
        self.make_room()

    def account(self) -> Account:
        """Return what became of all spans."""
        return account(self._ledger.counts, self._chain.written)

    def count_unwritten(self, reason: str, number: int) -> None:
        """Count spans that never were in the spool."""
        add(self._ledger.counts.unwritten, reason, number)

    def sync(self) -> None:
        """Have spans and counts on the disk; raises OSError."""
        self._ledger.save()
        self._chain.sync()

    def make_room(self) -> None:
        """Remove the oldest segments that are too much; the counts are on disk before a file is gone."""
        gone = self._too_many()
        self._ledger.save()
        for _ in range(gone):
            self._chain.remove_first()
        if (settled := self._ledger.counts.settled) > self._next.before:
            self._next = self._chain.place(settled)

    def close(self) -> None:
        """Let go of the folder."""
        self._held.close()

    def _too_many(self) -> int:
        """Return how many segments have to go, with their spans counted."""
        counts, chain, limits = self._ledger.counts, self._chain, self._limits
        size = sum(each.size for each in chain.segments)
        kept = sum(each.size for each in chain.segments if each.end <= counts.settled)
        for gone, segment in enumerate(chain.segments[:-1]):
            settled = segment.end <= counts.settled
            if size <= limits.size and not (settled and kept > limits.keep):
                return gone
            if not settled:
                add(counts.dropped, self._evicted, segment.end - max(counts.settled, segment.base))
                counts.settled = segment.end
            size, kept = size - segment.size, kept - (segment.size if settled else 0)
        return len(chain.segments) - 1

    def _without_gap(self) -> int:
        """Return how many spans are settled; those of files that somebody has removed are, as damaged."""
        counts = self._ledger.counts
        if (gap := self._chain.segments[0].base - counts.settled) > 0:
            add(counts.dropped, DAMAGED, gap)
            counts.settled += gap
        return counts.settled


def add(counts: dict[str, int], reason: str, number: int) -> None:
    """Add a number to a count, if it is one."""
    if number > 0:
        counts[reason] = counts.get(reason, 0) + number


def _locked(folder: Path) -> int:
    """Lock a folder for this process; raises OSError when another one has it."""
    guard = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(guard)
        raise OSError(errno.EBUSY, "another process has it") from error
    return guard
