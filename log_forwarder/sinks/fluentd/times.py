"""The forward protocol's EventTime out of Docker's text."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# fixext 8 of type 0: seconds and nanoseconds as u32, big-endian (Fluentd forward protocol v1, "EventTime").
EVENT_TIME = b"\xd7\x00"
# "2026-01-02T03:04:05.123456789Z": where the seconds end, and the length with all nine digits.
SECOND_END = 19
FULL_LENGTH = 30
_LAST_SECOND = 2**32 - 1
_FRACTION = re.compile(r"\.([0-9]{1,9})")


def seconds(text: str) -> bytes:
    """Return the second of an RFC 3339 time as u32; without an offset it is UTC. ValueError for no time."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return min(max(int(moment.timestamp() // 1), 0), _LAST_SECOND).to_bytes(4, "big")


def event_time(text: str) -> bytes:
    """Return the EventTime of any RFC 3339 time, with 0 to 9 digits; the epoch for what is no time."""
    fraction = _FRACTION.search(text)
    digits = fraction[1].ljust(9, "0") if fraction else "0"
    try:
        return EVENT_TIME + seconds(text) + int(digits).to_bytes(4, "big")
    except (ValueError, OverflowError):
        return EVENT_TIME + bytes(8)
