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
_MANY_ENDED, _FEW_ENDED, _CALM_SECONDS = 2000, 100, 60.0
# With so many it is time whatever happens: peers that come and go without a pause would fill the memory.
_MOST_ENDED = 5000
# And should anything else make garbage, when twice as much and so many objects more are set aside; counting
# them takes milliseconds.
_MORE, _COUNT_EVERY_SECONDS = 2_000_000, 10.0
# Everything that can have survived in the seconds since the last time.
_YOUNG = 1


class LongLived:
    """``tick`` is called twice a second, by the thread that serves agents.

    ``ended`` counts connections, ``aside`` the objects that are set aside.
    """

    def __init__(
        self,
        ended: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        aside: Callable[[], int] = gc.get_freeze_count,
    ) -> None:
        self._ended = ended
        self._clock = clock
        self._aside = aside
        self._aside_at = self._all_at = self._calm_at = self._counted_at = clock()
        self._ended_then = self._ended_at_all = ended()
        self._kept = 0  # set aside when everything was looked through

    def tick(self) -> None:
        """Set aside what has stayed, or look through everything, when it is time."""
        now = self._clock()
        if now - self._all_at >= _ALL_EVERY_SECONDS or self._is_worth_it(now):
            self._all_at, self._ended_at_all = now, self._ended()
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            self._kept = self._aside()
        elif now - self._aside_at >= _ASIDE_EVERY_SECONDS:
            self._aside_at = now
            gc.collect(_YOUNG)
            gc.freeze()

    def close(self) -> None:
        """Leave the rest of the process as it was."""
        gc.unfreeze()

    def _is_worth_it(self, now: float) -> bool:
        ended = self._ended() - self._ended_at_all
        return ended >= _MOST_ENDED or self._has_grown(now) or (self._is_calm(now) and ended >= _MANY_ENDED)

    def _is_calm(self, now: float) -> bool:
        """Tell, once in a while, whether few connections have ended since the last time."""
        if now - self._calm_at < _CALM_SECONDS:
            return False
        before, self._ended_then, self._calm_at = self._ended_then, self._ended(), now
        return self._ended_then - before < _FEW_ENDED

    def _has_grown(self, now: float) -> bool:
        if now - self._counted_at < _COUNT_EVERY_SECONDS:
            return False
        self._counted_at = now
        return self._aside() >= 2 * self._kept + _MORE
