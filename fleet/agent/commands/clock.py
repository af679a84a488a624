"""What time it is at the manager, as far as this host can know: never less than it really is. Pure.

The manager's answer carries its time T. It was read after the question was sent, at t0 of this host's clock,
so at any t from then on the manager's clock shows at most T + (t - t0). Half of the way there and back is
what that may be too late by; a deadline is met so all the earlier, and never passed.
"""

from __future__ import annotations

from collections.abc import Callable

from compose_agent.boottime import clock as boot_clock

# Two clocks may go apart by so much of the time, three times what a computer's clock is allowed to.
DRIFT = 0.001
# A measurement is made anew after this time, when it could be wrong by as much as a third of a second.
FRESH_SECONDS = 300.0


class ManagerClock:
    """``now`` is this host's clock, which runs on in a suspended host; times of the manager are Unix time."""

    def __init__(self, now: Callable[[], float] = boot_clock) -> None:
        self._now = now
        self._asked = 0.0
        self._told: float | None = None

    def question(self) -> float:
        """Return what a question carries."""
        return self._now()

    def answered(self, asked: float, told: float) -> None:
        """Take the manager's time out of the answer to a question; one of long ago says too little."""
        now = self._now()
        if not now - FRESH_SECONDS <= asked <= now:
            return
        self._asked, self._told = asked, told

    def forget(self) -> None:
        """Know nothing: the manager may be another one now."""
        self._told = None

    @property
    def is_fresh(self) -> bool:
        """Tell whether a measurement need not be made anew."""
        return self._told is not None and self._now() - self._asked <= FRESH_SECONDS

    def latest(self) -> float | None:
        """Return the time at the manager, at the latest; None when it has never answered."""
        if self._told is None:
            return None
        passed = self._now() - self._asked
        return self._told + passed * (1.0 + DRIFT)
