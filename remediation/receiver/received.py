"""What was received and what became of it, for the metrics and the log."""

from __future__ import annotations

import logging
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence

from remediation.model import Signal, Source
from remediation.receiver.refusal import Why

logger = logging.getLogger(__name__)

# A sender that is refused comes again and again.
LOG_PAUSE_SECONDS = 60.0
# Upper bounds in seconds; the promise is about 0.05.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Received:
    """Plain counts, by the names of the metrics' labels; thread-safe to write, read without a lock.

    ``requests`` by source, ``refused`` by source and reason, ``signals`` by source and whether they fire,
    ``truncated`` counts alerts that a notification left out. ``durable_counts`` has how many requests were
    on disk within each of ``BUCKETS``, and at last how many took longer; ``durable_seconds`` is their sum.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._logged: dict[Why, float] = {}
        self._silent: Counter[Why] = Counter()
        self.requests: Counter[Source] = Counter()
        self.refused: Counter[tuple[Source, Why]] = Counter()
        self.signals: Counter[tuple[Source, bool]] = Counter()
        self.truncated = 0
        self.durable_counts = [0] * (len(BUCKETS) + 1)
        self.durable_seconds = 0.0

    def count(self, source: Source, signals: Sequence[Signal], seconds: float, left_out: int = 0) -> None:
        """Count a request whose signals are on disk ``seconds`` after its head was read."""
        with self._lock:
            self.requests[source] += 1
            self.signals.update((source, signal.firing) for signal in signals)
            self.truncated += left_out
            self.durable_counts[bisect_left(BUCKETS, seconds)] += 1
            self.durable_seconds += seconds

    def refuse(self, source: Source, why: Why, remote: str, message: str) -> None:
        """Count a request that was not taken, and log it, at most once a minute for each reason."""
        with self._lock:
            self.requests[source] += 1
            self.refused[source, why] += 1
            now = self._clock()
            last = self._logged.get(why)
            if last is not None and now - last < LOG_PAUSE_SECONDS:
                self._silent[why] += 1
                return
            self._logged[why] = now
            silent = self._silent.pop(why, 0)
        fields = {"source": source, "reason": why, "remote": remote or "unix", "others_since": silent}
        if message != why:
            fields["error"] = message
        logger.warning("request refused", extra=fields)
