"""Letting thousands of agents in one after the other, when all of them come at once."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit


class Herd:
    """Lets ``rate`` agents in within a second, and gives each of the others a turn of its own."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._bucket = TokenBucket(RateLimit(interval=1 / rate, burst=rate), clock)
        self._rate = rate
        self._clock = clock
        self._turn = 0.0

    def wait(self) -> int:
        """Return 0 for an agent that may come in, else the seconds after which it is its turn."""
        if self._bucket.take():
            return 0
        now = self._clock()
        self._turn = max(now, self._turn) + 1 / self._rate
        return max(1, math.ceil(self._turn - now))
