"""Indices named from the events' own time, so that an event sent again goes to the same index."""

from __future__ import annotations

from datetime import UTC, datetime

# Of an event whose time cannot be read; which the server then refuses, or keeps where it is found.
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = "%Y-%m-%dT%H"
_HOUR_LENGTH = 13


class IndexNames:
    """Names after a pattern such as ``docker-%Y.%m.%d``; neighbouring events share theirs."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._hour = ""
        self._name = _NO_TIME.strftime(pattern)

    def of(self, time: str) -> str:
        """Return the index of an RFC 3339 time in UTC."""
        hour = time[:_HOUR_LENGTH]
        if hour != self._hour:
            self._name = _instant(hour).strftime(self._pattern)
            self._hour = hour
        return self._name


def _instant(hour: str) -> datetime:
    try:
        return datetime.strptime(hour, _HOUR).replace(tzinfo=UTC)
    except ValueError:
        return _NO_TIME
