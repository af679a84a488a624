"""How long to wait before the next try, and over what. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable

# At most: whoever waits longer is missed for longer than it takes to notice that the path is whole again.
LONGEST_SECONDS = 4.0
_FIRST_SECONDS = 0.25
# A proxy that lets no WebSocket through does so each time; a network that is down lets nothing through.
_FAILURES_BEFORE_POLLING = 3
# While polling: when WebSocket is tried again, at first and at last. An outage that has just ended is over
# for WebSocket as well; a proxy stays as it is.
_FIRST_SPELL_SECONDS = 15.0
_LONGEST_SPELL_SECONDS = 120.0


class Backoff:
    """Pauses that grow with each failure, each shortened by chance so that agents do not come all at once."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._chance = chance
        self._failures = 0

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._failures = 0

    def next(self, wanted: float | None = None) -> float:
        """Return the seconds to wait; ``wanted`` is what the manager asks for, spread a little."""
        share = 0.5 + self._chance() / 2
        if wanted is not None:
            return wanted * (0.5 + share)
        whole = min(LONGEST_SECONDS, _FIRST_SECONDS * 2.0 ** min(self._failures, 10))
        self._failures += 1
        return whole * share


class Choice:
    """Which transport comes next: WebSocket, unless it alone has failed several times in a row."""

    def __init__(self, *, polls_only: bool) -> None:
        self._polls_only = polls_only
        self._failures = 0
        self._spell = _FIRST_SPELL_SECONDS

    @property
    def polling(self) -> bool:
        """Tell whether plain HTTP is next."""
        return self._polls_only or self._failures >= _FAILURES_BEFORE_POLLING

    def spell(self) -> float:
        """Return for how long to poll now, in seconds; each spell is longer until WebSocket has worked."""
        if self._polls_only:
            return float("inf")
        spell, self._spell = self._spell, min(self._spell * 2, _LONGEST_SPELL_SECONDS)
        return spell

    def failed(self) -> None:
        """Note that the transport that was next did not work; the other one is tried in turn."""
        self._failures = 0 if self.polling else self._failures + 1

    def worked(self, *, polling: bool) -> None:
        """Note that the manager has answered; WebSocket is next when this connection ends.

        Where only polling works, a single try of WebSocket is enough to see that it still does not.
        """
        self._failures = _FAILURES_BEFORE_POLLING - 1 if polling else 0
        if not polling:
            self._spell = _FIRST_SPELL_SECONDS
