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
# Unless by so many objects and by this share more are set aside than the last time, and few connections begin
# or end at the moment: when agents come back by the thousand is no time to stand still.
_MORE, _MORE_SHARE, _FEW = 50_000, 0.5, 20
# With so many more it is time whatever happens: peers that come and go without a pause would fill the memory.
_TOO_MANY, _TOO_MANY_SHARE = 200_000, 1.0
# Counting them takes milliseconds.
_COUNT_EVERY_SECONDS = 10.0
# Everything that can have survived in the seconds since the last time.
_YOUNG = 1


class LongLived:
    """``tick`` is called twice a second, by the thread that serves agents.

    ``turns`` counts connections, as they begin and as they end; ``aside`` the objects that are set aside.
    """

    def __init__(
        self,
        turns: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
        aside: Callable[[], int] = gc.get_freeze_count,
    ) -> None:
        self._turns = turns
        self._clock = clock
        self._aside = aside
        self._aside_at = self._all_at = self._counted_at = clock()
        self._turns_then = turns()
        self._kept = 0  # set aside when everything was looked through

    def tick(self) -> None:
        """Set aside what has stayed, or look through everything, when it is time."""
        now = self._clock()
        if now - self._all_at >= _ALL_EVERY_SECONDS or self._is_worth_it(now):
            self._all_at = now
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
        if now - self._counted_at < _COUNT_EVERY_SECONDS:
            return False
        before, self._turns_then, self._counted_at = self._turns_then, self._turns(), now
        more = self._aside() - self._kept
        if more >= max(_TOO_MANY, self._kept * _TOO_MANY_SHARE):
            return True
        is_calm = self._turns_then - before < _FEW
        return is_calm and more >= max(_MORE, self._kept * _MORE_SHARE)
