"""What of one log is on its way to a sink, and up to where all of it has arrived."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from log_forwarder.event import Batch, Position


class Settling:
    """Batches in the order they were read, settled in any; ``kept`` hears of positions in order.

    One thread adds, another settles.
    """

    def __init__(self, kept: Callable[[Position], None]) -> None:
        self._kept = kept
        self._open: deque[Batch] = deque()
        self._settled: set[int] = set()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many batches are on their way."""
        return len(self._open)

    def add(self, batch: Batch) -> None:
        """Take note of a batch that is about to leave."""
        with self._lock:
            self._open.append(batch)

    def settle(self, batch: Batch) -> None:
        """Take note of a settled batch, and keep the position before which all are."""
        with self._lock:
            self._settled.add(id(batch))
            last: Position | None = None
            while self._open and id(self._open[0]) in self._settled:
                first = self._open.popleft()
                self._settled.discard(id(first))
                last = first.end
            if last is not None:
                self._kept(last)

    def oldest_age(self, now: float) -> float:
        """Return for how many seconds the oldest batch has been on its way; 0 without any."""
        with self._lock:
            return now - self._open[0].read_at if self._open else 0.0
