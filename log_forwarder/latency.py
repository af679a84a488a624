"""How long lines take from the container to the sink's confirmation."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left

from opentelemetry.trace import SpanContext
from prometheus_client.samples import Exemplar

from log_forwarder.event import Batch
from log_forwarder.moments import unix_seconds

# From a local sink that is polled five times a second to an outage of hours.
BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43200.0)


class Latency:
    """A histogram of seconds. Each batch counts all its lines at the mean of its first and its last line."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = [0] * (len(BUCKETS) + 1)
        self._exemplars: list[Exemplar | None] = [None] * (len(BUCKETS) + 1)
        self._sum = 0.0

    def observe(self, batch: Batch, span: SpanContext | None = None) -> None:
        """Take the lines of a batch that is confirmed now, and the span of that, if it has one."""
        if not batch.events:
            return
        first, last = unix_seconds(batch.events[0].time), unix_seconds(batch.events[-1].time)
        if not first or not last:
            return  # a damaged time in an otherwise whole record
        seconds = max(0.0, time.time() - (first + last) / 2)
        with self._lock:
            bucket = bisect_left(BUCKETS, seconds)
            self._counts[bucket] += len(batch.events)
            if span:
                self._exemplars[bucket] = _exemplar(span, seconds)
            self._sum += seconds * len(batch.events)

    def exemplars(self) -> list[Exemplar | None]:
        """Return the delivery that was traced last, for each bucket."""
        with self._lock:
            return list(self._exemplars)

    def buckets(self) -> tuple[list[tuple[str, float]], float]:
        """Return the cumulative buckets, as prometheus-client takes them, and the sum."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        bounds = [*map(str, BUCKETS), "+Inf"]
        cumulative = [float(sum(counts[: at + 1])) for at in range(len(bounds))]
        return list(zip(bounds, cumulative, strict=True)), total


def _exemplar(span: SpanContext, seconds: float) -> Exemplar:
    ids = {"trace_id": f"{span.trace_id:032x}", "span_id": f"{span.span_id:016x}"}
    return Exemplar(ids, seconds, time.time())
