"""Times as the Engine writes and reads them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.errors import ApiError

NEVER = "0001-01-01T00:00:00Z"
_UNIX = re.compile(r"(-?\d+)(?:\.(\d+))?$")
_MINUTE, _HOUR, _DAY, _WEEK, _MONTH, _YEAR = 60, 3600, 86400, 604800, 2592000, 31536000


def rfc3339(nanoseconds: int | None) -> str:
    """Return a time as Go's RFC3339Nano writes it: no trailing zeros, year 1 for never."""
    if nanoseconds is None:
        return NEVER
    seconds, rest = divmod(nanoseconds, NANOSECONDS)
    fraction = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def parse_timestamp(text: str) -> int | None:
    """Return a ``since`` or ``until`` (``seconds[.fraction]``) in nanoseconds, None for nothing or zero."""
    match = _UNIX.match(text or "0")
    if match is None:
        raise ApiError(500, f'strconv.ParseInt: parsing "{text}": invalid syntax')
    fraction = (match[2] or "").ljust(9, "0")[:9]
    return int(match[1]) * NANOSECONDS + int(fraction) or None


def human_duration(seconds: float) -> str:
    """Return a duration in the words that ``docker ps`` shows."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < _MINUTE:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < 2 * _MINUTE:
        return "About a minute"
    if whole < _HOUR:
        return f"{whole // _MINUTE} minutes"
    if round(whole / _HOUR) == 1:
        return "About an hour"
    return _long_duration(whole)


def _long_duration(seconds: int) -> str:
    for limit, unit, noun in (
        (2 * _DAY, _HOUR, "hours"),
        (2 * _WEEK, _DAY, "days"),
        (2 * _MONTH, _WEEK, "weeks"),
        (2 * _YEAR, _MONTH, "months"),
    ):
        if seconds < limit:
            return f"{seconds // unit} {noun}"
    return f"{seconds // _YEAR} years"
