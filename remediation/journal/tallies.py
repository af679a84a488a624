"""What was decided and done since the start of this process, counted when it is on disk."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

# Upper bounds in seconds: from an action right after its alert to one that waited for a night.
BUCKETS = (0.05, 0.15, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 1800.0, 7200.0, 43200.0)


@dataclass(frozen=True, slots=True)
class Example:
    """The action that was counted last in a bucket: its id, the seconds, and when, in Unix seconds."""

    intent: str
    seconds: float
    at: float


class Histogram:
    """Counts of seconds by :data:`BUCKETS`, and at last those beyond, each with the latest example."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.examples: list[Example | None] = [None] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float, intent: str = "", at: float = 0.0) -> None:
        """Count a time; one that a clock made negative counts as none."""
        seconds = max(0.0, seconds)
        bucket = bisect_left(BUCKETS, seconds)
        self.counts[bucket] += 1
        self.examples[bucket] = Example(intent, seconds, at) if intent else None
        self.sum += seconds


@dataclass(frozen=True, slots=True)
class Acted:
    """An action that began so many seconds after its alert and after the receipt; None: not counted.

    It took so many ``seconds``, until ``at`` in Unix seconds.
    """

    action: str
    result: str
    since_alert: float | None = None
    since_receipt: float | None = None
    seconds: float = 0.0
    intent: str = ""
    at: float = 0.0


@dataclass(slots=True)
class Tallies:
    """Counts by (reason, policy) and by (action, result), and how long actions took, and to begin.

    One thread writes, under ``lock``; whoever reads more than one of them holds it too.
    """

    decisions: Counter[tuple[str, str]] = field(default_factory=Counter)
    actions: Counter[tuple[str, str]] = field(default_factory=Counter)
    since_alert: Histogram = field(default_factory=Histogram)
    since_receipt: Histogram = field(default_factory=Histogram)
    durations: defaultdict[str, Histogram] = field(default_factory=lambda: defaultdict(Histogram))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, decisions: Counter[tuple[str, str]], actions: Iterable[Acted]) -> None:
        """Take what one transaction counted."""
        with self.lock:
            self.decisions.update(decisions)
            for each in actions:
                self.actions[each.action, each.result] += 1
                self.durations[each.action].observe(each.seconds, each.intent, each.at)
                if each.since_alert is not None:
                    self.since_alert.observe(each.since_alert, each.intent, each.at)
                if each.since_receipt is not None:
                    self.since_receipt.observe(each.since_receipt, each.intent, each.at)
