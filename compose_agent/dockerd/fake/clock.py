"""Time as the fake Engine sees it, so that a test can make an hour pass in no time."""

from __future__ import annotations

import threading
import time
from typing import Protocol

NANOSECONDS = 1_000_000_000


class Clock(Protocol):
    """Where the fake Engine takes the time from and how it waits."""

    def time_ns(self) -> int:
        """Return the time of day in nanoseconds since the epoch."""

    def attach(self, changed: threading.Condition) -> None:
        """Make the clock wake ``changed`` when its time moves in a jump."""

    def wait(self, changed: threading.Condition, seconds: float | None) -> None:
        """Wait on ``changed``, held by the caller, until notified or ``seconds`` of this clock passed."""


class SystemClock:
    """The machine's own time."""

    def time_ns(self) -> int:
        """Return the time of day in nanoseconds since the epoch."""
        return time.time_ns()

    def attach(self, changed: threading.Condition) -> None:
        """Do nothing: the machine's time moves by itself."""

    def wait(self, changed: threading.Condition, seconds: float | None) -> None:
        """Wait until notified or until ``seconds`` have passed."""
        changed.wait(seconds)


class ManualClock:
    """Time that stands still until a test calls ``advance``."""

    def __init__(self, start_ns: int = 1_700_000_000 * NANOSECONDS) -> None:
        self._now = start_ns
        self._attached: list[threading.Condition] = []

    def time_ns(self) -> int:
        """Return the time of day in nanoseconds since the epoch."""
        return self._now

    def attach(self, changed: threading.Condition) -> None:
        """Wake ``changed`` at each ``advance``."""
        self._attached.append(changed)

    def wait(self, changed: threading.Condition, seconds: float | None) -> None:
        """Wait until notified; the caller compares the time again, as after any spurious wake-up."""
        if seconds is None or seconds > 0:
            changed.wait()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._now += round(seconds * NANOSECONDS)
        for changed in self._attached:
            with changed:
                changed.notify_all()
