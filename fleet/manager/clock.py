"""The manager's clock: Unix time that goes on evenly while this process runs.

What sets the time of day anew (somebody, NTP after a start without network) would else move every deadline.
Only the next start takes that over.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from compose_agent.boottime import clock


class SteadyClock:
    """``now`` gives Unix seconds."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = clock) -> None:
        self._steady = steady
        self._ahead = wall() - steady()

    def now(self) -> float:
        """Return the time."""
        return self._steady() + self._ahead
