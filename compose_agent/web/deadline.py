"""One span of time that several blocking calls share."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline:
    """Count down from ``seconds``; a socket's own timeout would begin anew with every byte."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def restart(self, seconds: float) -> None:
        """Begin anew, with ``seconds`` from now."""
        self._end = self._clock() + seconds

    def remaining(self) -> float:
        """Return the seconds left, more than zero, or raise TimeoutError."""
        left = self._end - self._clock()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    @property
    def expired(self) -> bool:
        """Tell whether no time is left."""
        return self._clock() >= self._end
