"""Docker's times as nanoseconds since the epoch."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# "2026-01-02T03:04:05.123456789Z": where the seconds end, and the length with all nine digits.
_SECOND_END = 19
_FULL_LENGTH = 30
_FRACTION = re.compile(r"\.([0-9]{1,9})")
_SECOND = 1_000_000_000


class Nanoseconds:
    """Reads RFC 3339 times; neighbouring events share the second, which is read once."""

    def __init__(self) -> None:
        self._second = ""
        self._base = 0

    def of(self, text: str) -> int:
        """Return the nanoseconds since the epoch of a time with 0 to 9 digits; 0 for what is no time."""
        if len(text) != _FULL_LENGTH or text[-1] != "Z":
            return nanoseconds(text)
        if text[:_SECOND_END] != self._second:
            self._base = nanoseconds(text[:_SECOND_END])
            self._second = text[:_SECOND_END]
        return self._base + int(text[20:29]) if self._base else 0


def nanoseconds(text: str) -> int:
    """Return the nanoseconds since the epoch of any RFC 3339 time, without an offset in UTC; 0 for none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    fraction = _FRACTION.search(text)
    digits = fraction[1].ljust(9, "0") if fraction else "0"
    return max(0, int(moment.timestamp() // 1) * _SECOND + int(digits))
