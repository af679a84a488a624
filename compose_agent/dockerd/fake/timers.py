"""Things that happen later: a process that ends by itself, a restart after its back-off."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable

from compose_agent.dockerd.fake.clock import NANOSECONDS, Clock


class Timers:
    """Run callbacks when their time has come, in one thread, holding ``changed``."""

    def __init__(self, clock: Clock, changed: threading.Condition) -> None:
        self._clock = clock
        self._changed = changed
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="fake-engine-timers", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread; what was due later never happens."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        """Run ``callback`` after ``seconds``; callbacks due at the same time keep their order."""
        due = self._clock.time_ns() + round(seconds * NANOSECONDS)
        with self._changed:
            heapq.heappush(self._due, (due, next(self._order), callback))
            self._changed.notify_all()

    def _run(self) -> None:
        with self._changed:
            while not self._stopped:
                self._run_due()
                self._clock.wait(self._changed, self._seconds_to_next())

    def _run_due(self) -> None:
        while self._due and self._due[0][0] <= self._clock.time_ns() and not self._stopped:
            heapq.heappop(self._due)[2]()

    def _seconds_to_next(self) -> float | None:
        if not self._due:
            return None
        return max(0.0, (self._due[0][0] - self._clock.time_ns()) / NANOSECONDS)
