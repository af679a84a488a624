"""A token bucket."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose_agent.web.webconfig import RateLimit


class TokenBucket:
    """Let ``limit.burst`` requests through at once, then one in every ``limit.interval`` seconds."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(limit.burst)
        self._filled = clock()

    def take(self) -> bool:
        """Take a token if there is one."""
        with self._lock:
            now = self._clock()
            gained = (now - self._filled) / self.limit.interval
            self._tokens = min(float(self.limit.burst), self._tokens + gained)
            self._filled = now
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
