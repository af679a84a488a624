"""How often somebody may fail, and how often they may ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from compose_agent.web.auth import Busy
from compose_agent.web.ratelimit import TokenBucket
from compose_agent.web.webconfig import RateLimit

# Ten mistakes at once, then one in six seconds: nobody types faster, and a dictionary takes years.
_FAILURES = RateLimit(interval=6.0, burst=10)
# More addresses and names than this are not in honest use at once; of the others the longest unused go.
_REMEMBERED = 10_000


class Buckets:
    """A token bucket for each key, the same ``limit`` for all."""

    def __init__(self, limit: RateLimit, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def of(self, key: str) -> TokenBucket:
        """Return the bucket of a key."""
        with self._lock:
            bucket = self._buckets.get(key)
            if bucket is None:
                bucket = self._buckets[key] = TokenBucket(self._limit, self._clock)
                if len(self._buckets) > _REMEMBERED:
                    self._buckets.popitem(last=False)
            self._buckets.move_to_end(key)
            return bucket


class Failures:
    """Counts wrong passwords by the address that they come from."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._buckets = Buckets(_FAILURES, clock)
        self._clock = clock
        self._until: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, address: str) -> None:
        """Note a wrong password."""
        if self._buckets.of(address).take():
            return
        with self._lock:
            self._until[address] = self._clock() + _FAILURES.interval
            if len(self._until) > _REMEMBERED:
                self._until.popitem(last=False)

    def require_patience(self, address: str) -> None:
        """Raise Busy while an address has failed too often; a right password is not looked at either."""
        if self._clock() < self._until.get(address, 0.0):
            raise Busy(f"too many wrong passwords from {address}: try again in a few seconds")
