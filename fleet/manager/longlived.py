"""What agents hold in memory is not looked through again and again for garbage.

Python looks for garbage among all its objects, every time that a quarter more of them have come. Of ten
thousand agents there are more than a million, nearly all of which stay; the loop that serves the agents
stands still meanwhile, for half a second and more. So what has stayed for a while is set aside
(:func:`gc.freeze`), and looked through only rarely, all of it at once.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

_ASIDE_EVERY_SECONDS = 2.0
# What is set aside and dies in a cycle stays until then. Most of what a connection leaves is no cycle.
_ALL_EVERY_SECONDS = 3600.0
# Unless there has come to be twice as much: then a good deal of it is garbage, or many agents have come.
_COUNT_EVERY_SECONDS = 60.0
_LEAST_OBJECTS = 200_000
# Everything that can have survived in the seconds since the last time.
_YOUNG = 1


class LongLived:
    """``tick`` is called twice a second, by the thread that serves agents."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._aside_at = self._all_at = self._counted_at = clock()
        self._after_all = 0

    def tick(self) -> None:
        """Set aside what has stayed, or look through everything, when it is time."""
        now = self._clock()
        if now - self._all_at >= _ALL_EVERY_SECONDS or self._has_doubled(now):
            self._all_at = now
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._after_all = gc.get_freeze_count()
        elif now - self._aside_at >= _ASIDE_EVERY_SECONDS:
            self._aside_at = now
            gc.collect(_YOUNG)
            gc.freeze()

    def close(self) -> None:
        """Leave the rest of the process as it was."""
        gc.unfreeze()

    def _has_doubled(self, now: float) -> bool:
        if now - self._counted_at < _COUNT_EVERY_SECONDS:
            return False
        self._counted_at = now
        return gc.get_freeze_count() > max(_LEAST_OBJECTS, 2 * self._after_all)
