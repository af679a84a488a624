"""Ship at most so many lines in a time."""

from __future__ import annotations

import re

from compose_agent.config import Option
from compose_agent.config.kinds import Kind
from log_forwarder.event import Event
from log_forwarder.moments import unix_seconds
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values

REASON = "rate_limited"
# A burst of this long at the allowed rate passes; less would drop what comes in one write.
BURST_SECONDS = 2.0
_UNITS = {"s": 1, "m": 60, "h": 3600}
_RATE = re.compile(r"(\d{1,9})/([smh])", re.ASCII)


class RateLimit:
    """A token bucket that runs on Docker's times.

    A backlog, which is read much faster than it was written, passes as it would have then.
    """

    def __init__(self, per_second: float, counters: Counters) -> None:
        self._rate = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        self._tokens = self._most
        self._last = 0.0
        self._dropped = counters.dropped

    def __call__(self, events: list[Event]) -> list[Event]:
        """Return the events for which there are tokens."""
        kept = [event for event in events if self._takes(event.time)]
        if len(kept) < len(events):
            self._dropped(len(events) - len(kept), REASON)
        return kept

    def _takes(self, time: str) -> bool:
        passed = unix_seconds(time) - self._last
        # Streams are read a little out of order; what lies further back is a clock that was set.
        if passed > 0 or passed < -BURST_SECONDS:
            self._tokens = min(self._most, self._tokens + max(0.0, passed) * self._rate)
            self._last += passed
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def _parse(text: str) -> float:
    match = _RATE.fullmatch(text)
    if not match or not int(match[1]):
        raise ValueError(text)
    return int(match[1]) / _UNITS[match[2]]


def _make(values: Values, counters: Counters) -> Transform | None:
    rate = values["rate-limit"]
    return RateLimit(rate, counters) if rate else None


TRANSFORM = TransformKind(
    name="rate-limit",
    help="Ship at most so many lines in a time.",
    stage=Stage.LIMIT,
    keys=(
        Option(
            "rate-limit",
            Kind("rate", "a rate such as 100/s, 600/m or 1000/h", _parse),
            None,
            f"Ship at most this many lines, and {BURST_SECONDS:g} seconds' worth at once, by the times "
            "at which they were written.",
        ),
    ),
    make=_make,
)
