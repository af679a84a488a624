"""Spans on disk, from the moment they are over until the collector has them, and a while longer for people.

Appending is one ``write`` of everything that has come together, without fsync: a process that is killed loses
nothing of it. ``sync`` has it on the disk too and is called every few seconds, so that a power failure takes
those seconds.

What goes beyond the limits leaves oldest first, in whole segments, and is counted. A folder that cannot be
written costs the spans of that time, which are counted too, and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose_agent.tracing import segments
from compose_agent.tracing.chain import Chain, Place, TooLarge
from compose_agent.tracing.ledger import Account, Ledger, account
from compose_agent.tracing.records import Group, Span
from compose_agent.tracing.recovery import Found, interrupted, recovered

logger = logging.getLogger(__name__)

# What became of spans that no collector has, in metrics and documents.
FULL = "spool_full"  # removed to make room, before the collector had them
ROTATED = "rotated"  # the same with no collector configured
DAMAGED = "damaged"  # could not be read back
UNWRITABLE = "unwritable"  # the folder could not be written
TOO_LARGE = "too_large"
INVALID = "invalid"  # had no form to be written in

# A folder that could not be written is tried again after this long.
_RETRY_SECONDS = 5.0
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


@dataclass(slots=True)
class _Held:
    """What is open while a folder can be used."""

    guard: int
    ledger: Ledger
    chain: Chain
    next: Place  # what is exported next


class Spool:
    """The spool in one folder, for one process. Thread-safe. ``exporting``: whether there is a collector.

    ``error`` says why nothing can be written, empty when all is well.
    """

    def __init__(
        self, folder: Path, resource: Mapping[str, Any], limits: Limits | None = None, *, exporting: bool
    ) -> None:
        self._folder = folder
        self._resource = resource
        self._limits = limits or Limits()
        self._evicted = FULL if exporting else ROTATED
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._unwritten: Counter[str] = Counter()
        self._retry_at = 0.0
        self._closed = False
        self.error = ""
        with self._lock:
            self._usable()

    def append(
        self,
        spans: Sequence[Span],
        begun: Sequence[Span] = (),
        marks: Mapping[str, int] | None = None,
        *,
        again: bool = False,
    ) -> bool:
        """Have spans in the spool when this returns; False if they cannot be written.

        They are dropped then, and counted, unless the caller will come ``again`` with them. What has no
        form in which it could ever be written is dropped in any case, and only its marks are kept.
        """
        with self._lock:
            reason = self._appended(Group(list(begun), list(spans), dict(marks or {})))
            if reason == UNWRITABLE:
                self._unwritten[reason] += 0 if again else len(spans)
                return False
            if reason:
                self._unwritten[reason] += len(spans)
                self._appended(Group(marks=dict(marks or {})))
            return True

    def lose(self, number: int) -> None:
        """Count spans that had no form to be written in."""
        with self._lock:
            self._unwritten[INVALID] += number

    def mark(self, name: str) -> int | None:
        """Return the mark of this name that was appended last."""
        with self._lock:
            return self._held.chain.marks.get(name) if self._held else None

    def batch(self, most: int) -> Batch | None:
        """Return about ``most`` spans that come next, None if there are none. For one thread."""
        with self._lock:
            held = self._held
            if held is None or held.next.before >= held.chain.written:
                return None
            place = held.next
            segment = held.chain.segment(place.number)
            while (
                segment is None or place.before >= segment.end
            ):  # a process may leave one with nothing in it
                segment = held.chain.following(place.number)
                if segment is None:
                    return None
                place = Place(segment.number, segment.first, segment.base)
            end, growing = segment.end, segment is held.chain.segments[-1]
        spans: list[Span] = []
        for group, offset in segments.read(segment, place.offset):
            spans += group.spans
            place = Place(place.number, offset, place.before + len(group.spans))
            if len(spans) >= most or place.before >= end:
                break
        else:
            if not growing:
                return Batch(segment.header.resource, spans, Place(place.number, 0, end), end - place.before)
        return Batch(segment.header.resource, spans, place)

    def settle(self, batch: Batch, rejected: Mapping[str, int] | None = None) -> None:
        """Count a batch as exported, but for what was ``rejected``, by reason."""
        with self._lock:
            if self._held is None:
                return
            counts = self._held.ledger.counts
            fresh = batch.after.before - counts.settled  # fewer if some had to make room meanwhile
            if fresh <= 0:
                return
            for reason, number in {DAMAGED: batch.lost, **(rejected or {})}.items():
                taken = min(number, fresh)  # a collector may say anything
                _count(counts.dropped, reason, taken)
                fresh -= taken
            counts.exported += fresh
            counts.settled = batch.after.before
            self._held.next = batch.after
            self._make_room(self._held)

    def sync(self) -> None:
        """Have on the disk what was appended, and the counts."""
        with self._lock:
            if self._usable() and self._held:
                try:
                    self._count_unwritten(self._held)
                    self._held.ledger.save()
                    self._held.chain.sync()
                except OSError as error:
                    self._failed(error)

    def account(self) -> Account:
        """Return what became of all spans."""
        with self._lock:
            if self._held is None:
                return Account(created=self._unwritten.total(), dropped=dict(self._unwritten))
            self._count_unwritten(self._held)
            return account(self._held.ledger.counts, self._held.chain.written)

    def close(self) -> None:
        """Write everything down and let go of the folder."""
        self.sync()
        with self._lock:
            self._closed = True
            if self._held:
                self._held.chain.close()
                self._held.ledger.close()
                os.close(self._held.guard)
            self._held = None

    def abandon(self) -> None:
        """Leave the folder to the process that this one was forked from."""
        self._lock = threading.Lock()
        held, self._held, self._closed = self._held, None, True
        if held:  # or the lock would outlive that process with this one
            held.chain.close()
            held.ledger.close()
            os.close(held.guard)

    def _appended(self, group: Group) -> str:
        """Append a group and return why it could not be, empty if it was."""
        if not self._usable() or self._held is None:
            return UNWRITABLE
        before = len(self._held.chain.segments)
        try:
            self._held.chain.append(group)
        except OSError as error:
            self._failed(error)
            return UNWRITABLE
        except TooLarge:
            return TOO_LARGE
        except (TypeError, ValueError, OverflowError):
            return INVALID
        if len(self._held.chain.segments) != before:
            self._make_room(self._held)
        return ""

    def _usable(self) -> bool:
        if self._closed:
            return False
        if not self.error and self._held:
            return True
        if time.monotonic() < self._retry_at:
            return False
        try:
            self._held = self._held or self._opened()
        except OSError as error:
            self._failed(error)
            return False
        if self.error:
            logger.info("spans are kept again", extra={"folder": str(self._folder)})
        self.error = ""
        return True

    def _failed(self, error: OSError) -> None:
        words = f"spans cannot be kept in {self._folder}: {error.strerror or error}"
        if words != self.error:
            logger.warning("spans are dropped and counted", extra={"error": words})
        self.error = words
        self._retry_at = time.monotonic() + _RETRY_SECONDS

    def _opened(self) -> _Held:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        guard = _locked(self._folder)
        try:
            found = recovered(self._folder)
            ledger = Ledger(self._folder)
            chain = Chain(self._folder, self._resource, self._limits.segment, found, ledger.counts.settled)
            _close_begun(chain, found)
        except BaseException:
            os.close(guard)
            raise
        settled = _without_gap(chain, ledger)
        held = _Held(guard, ledger, chain, chain.place(settled))
        self._make_room(held)
        return held

    def _make_room(self, held: _Held) -> None:
        """Remove the oldest segments that are too much; the counts are on disk before a file is gone."""
        counts, chain = held.ledger.counts, held.chain
        gone = 0
        size = sum(each.size for each in chain.segments)
        kept = sum(each.size for each in chain.segments if each.end <= counts.settled)
        for segment in chain.segments[:-1]:
            settled = segment.end <= counts.settled
            if size <= self._limits.size and not (settled and kept > self._limits.keep):
                break
            if not settled:
                _count(counts.dropped, self._evicted, segment.end - max(counts.settled, segment.base))
                counts.settled = segment.end
            gone, size, kept = gone + 1, size - segment.size, kept - (segment.size if settled else 0)
        try:
            held.ledger.save()
        except OSError as error:
            self._failed(error)
            return
        for _ in range(gone):
            chain.remove_first()
        if counts.settled > held.next.before:
            held.next = chain.place(counts.settled)

    def _count_unwritten(self, held: _Held) -> None:
        for reason, number in self._unwritten.items():
            _count(held.ledger.counts.unwritten, reason, number)
        self._unwritten.clear()


def _count(counts: dict[str, int], reason: str, number: int) -> None:
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


def _close_begun(chain: Chain, found: Found) -> None:
    """End the spans that a kill has cut off, so that those below them have their parents."""
    for each in found.begun.values():
        chain.append(Group(spans=[interrupted(each, found.last_at)]))


def _without_gap(chain: Chain, ledger: Ledger) -> int:
    """Return how many spans are settled; those of files that somebody has removed are, as damaged."""
    counts = ledger.counts
    if (gap := chain.segments[0].base - counts.settled) > 0:
        _count(counts.dropped, DAMAGED, gap)
        counts.settled += gap
    return counts.settled
