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
# What is set aside and becomes garbage in a cycle, as most of a connection that breaks, stays until this.
_ALL_EVERY_SECONDS = 3600.0
# Unless so many connections have ended, some tens of megabytes, and not many more do at the moment: when
# agents come back by the thousand is no time to stand still.
_MANY_ENDED, _FEW_ENDED = 2000, 100
_COUNT_EVERY_SECONDS = 60.0
# Everything that can have survived in the seconds since the last time.
_YOUNG = 1


class LongLived:
    """``tick`` is called twice a second, by the thread that serves agents; ``ended`` counts connections."""

    def __init__(self, ended: Callable[[], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._ended = ended
        self._clock = clock
        self._aside_at = self._all_at = self._counted_at = clock()
        self._counted = self._ended_at_all = ended()

    def tick(self) -> None:
        """Set aside what has stayed, or look through everything, when it is time."""
        now = self._clock()
        if now - self._all_at >= _ALL_EVERY_SECONDS or self._is_worth_it(now):
            self._all_at, self._ended_at_all = now, self._ended()
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        elif now - self._aside_at >= _ASIDE_EVERY_SECONDS:
            self._aside_at = now
            gc.collect(_YOUNG)
            gc.freeze()

    def close(self) -> None:
        """Leave the rest of the process as it was."""
        gc.unfreeze()

    def _is_worth_it(self, now: float) -> bool:
        if now - self._counted_at < _COUNT_EVERY_SECONDS:
            return False
        before, self._counted, self._counted_at = self._counted, self._ended(), now
        return self._counted - before < _FEW_ENDED and self._counted - self._ended_at_all >= _MANY_ENDED
