"""What waits for one sink, and the count of what became of it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from log_forwarder.event import Batch

_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(slots=True)
class Tally:
    """Events of one sink since the start: always ``read == sent + sum(dropped) + dead_lettered + held``.

    ``redacted`` counts by rule, ``failed`` by transform.
    """

    read: int = 0
    sent: int = 0
    dead_lettered: int = 0
    held: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    redacted: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)


class Outbox:
    """Batches on their way to one sink, in order, at most ``limit`` bytes of source.

    One thread puts, one takes. A batch counts as held until it is settled. ``lossy`` makes it drop what does
    not fit instead of asking the reader to wait. ``observe`` hears of each batch that is settled.
    """

    def __init__(
        self, limit: int, *, lossy: bool = False, observe: Callable[[Batch], None] = lambda _batch: None
    ) -> None:
        self._observe = observe
        self._limit = limit
        self._lossy = lossy
        self._waiting: deque[Batch] = deque()
        self._bytes = 0
        self._tally = Tally()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, batch: Batch, wait: float) -> bool:
        """Take a batch; False if there was no room within ``wait`` seconds. One too big goes alone."""
        with self._changed:
            if self._lossy and not self._has_room(batch):
                self._tally.read += len(batch.events)
                self._tally.dropped["queue_full"] += len(batch.events)
            elif self._changed.wait_for(lambda: self._closed or self._has_room(batch), wait):
                if self._closed:
                    return False
                self._waiting.append(batch)
                self._bytes += batch.size
                self._tally.read += len(batch.events)
                self._tally.held += len(batch.events)
                self._changed.notify_all()
                return True
            else:
                return False
        batch.owner.settled(batch)
        return True

    def take(self, most_bytes: int, wait: float) -> list[Batch]:
        """Return the next batches, of ``most_bytes`` of source or one; none if none came within ``wait``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting, wait)
            taken: list[Batch] = []
            size = 0
            while self._waiting and (not taken or size + self._waiting[0].size <= most_bytes):
                taken.append(self._waiting.popleft())
                size += taken[-1].size
            return taken

    def settle(
        self, batch: Batch, *, sent: int, dead_lettered: int = 0, dropped: Mapping[str, int] = _NONE
    ) -> None:
        """Note what became of every event of a batch that was taken, and tell its owner.

        ``dropped`` has by their reason the events that the sink has no use for.
        """
        with self._changed:
            self._bytes -= batch.size
            self._tally.held -= len(batch.events)
            self._tally.sent += sent
            self._tally.dead_lettered += dead_lettered
            self._tally.dropped.update(dropped)
            self._changed.notify_all()
        self._observe(batch)
        batch.owner.settled(batch)

    def drop(self, events: int, reason: str) -> None:
        """Count events that were read and left out on purpose, before they became part of a batch."""
        with self._changed:
            self._tally.read += events
            self._tally.dropped[reason] += events

    def note_redacted(self, count: int, rule: str) -> None:
        """Count redactions by rule."""
        with self._changed:
            self._tally.redacted[rule] += count

    def note_failed(self, events: int, transform: str) -> None:
        """Count lines that a transform could do nothing with, and that go on as they were written."""
        with self._changed:
            self._tally.failed[transform] += events

    def close(self) -> None:
        """Wake whoever waits: nothing more is put, and what waits is taken to the end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def tally(self) -> Tally:
        """Return a consistent copy of the counts."""
        with self._changed:
            now = self._tally
            return Tally(
                now.read,
                now.sent,
                now.dead_lettered,
                now.held,
                Counter(now.dropped),
                Counter(now.redacted),
                Counter(now.failed),
            )

    def held_bytes(self) -> int:
        """Return the bytes of source that are taken or waiting, and not settled."""
        return self._bytes

    def _has_room(self, batch: Batch) -> bool:
        return self._bytes == 0 or self._bytes + batch.size <= self._limit
