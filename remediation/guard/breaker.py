"""A circuit breaker for one target and policy: after failures in a row it opens, and then allows a trial."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class BreakerState(StrEnum):
    """What a breaker does: lets everything pass, nothing, or one trial."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker(msgspec.Struct, frozen=True):
    """``failures`` in a row, when the last one was (Unix seconds), and whether a trial is under way."""

    failures: int = 0
    failed_at: float = 0.0
    trial: bool = False

    def opens_until(self, most: int, pause: float) -> float:
        """Return until when it is open; 0 while it is closed."""
        return self.failed_at + pause if self.failures >= most else 0.0

    def state(self, most: int, pause: float, now: float) -> BreakerState:
        """Return what it does at a moment."""
        until = self.opens_until(most, pause)
        if not until:
            return BreakerState.CLOSED
        return BreakerState.OPEN if until > now else BreakerState.HALF_OPEN

    def failed(self, now: float) -> Breaker:
        """Return it after a failure."""
        return Breaker(self.failures + 1, now)

    def succeeded(self) -> Breaker:
        """Return it after a success: closed."""
        return Breaker()

    def tried(self) -> Breaker:
        """Return it while a trial is under way."""
        return Breaker(self.failures, self.failed_at, trial=True)


CLOSED = Breaker()
