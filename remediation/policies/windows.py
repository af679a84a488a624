"""Maintenance windows: recurring times of the week in which nothing is done."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from compose_agent.config.kinds import Detail, Kind
from compose_agent.config.nearest import did_you_mean, nearest

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EVERY_DAY = frozenset(range(7))
_WHOLE_DAY = 24 * 60
_UTC = "UTC"
# Enough to tell the days apart, and what people write.
_SHORTEST_DAY = 2
_FORM = re.compile(
    r"(?:(?P<days>[A-Za-z]+(?:\s*[-,]\s*[A-Za-z]+)*))?"
    r"(?:(?:^|\s+)(?P<begin>\d{1,2}:\d{2})\s*-\s*(?P<end>\d{1,2}:\d{2}))?"
    r"(?:\s+(?P<zone>[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Window:
    """From ``begin`` to ``end`` minutes after midnight on these days (0 is Monday), in a time zone.

    An ``end`` that is not after ``begin`` is on the next day: the days are those on which a window begins.
    Times are those of the zone's clocks. Where a change of the clocks leaves one out or has it twice, the
    window is the longer one.
    """

    days: frozenset[int]
    begin: int
    end: int
    zone: str = _UTC

    def __str__(self) -> str:
        days = ",".join(DAYS[day][:3].capitalize() for day in sorted(self.days))
        return f"{days} {_clock(self.begin)}-{_clock(self.end)} {self.zone}"

    def contains(self, when: float) -> bool:
        """Tell whether ``when``, in Unix seconds, lies in it."""
        return self.end_of(when) is not None

    def end_of(self, when: float) -> float | None:
        """Return the Unix time at which the window around ``when`` ends, None when it lies in none."""
        ends = [end for begin, end in self._around(when) if begin <= when < end]
        return max(ends, default=None)

    def _around(self, when: float) -> Iterator[tuple[float, float]]:
        """Yield begin and end of those that may contain ``when``."""
        zone = _zone(self.zone)
        today = datetime.fromtimestamp(when, zone).date()
        days = 1 if self.end <= self.begin else 0
        # One that began a day before may last until now, and one of tomorrow may begin early by a change.
        for day in (today + timedelta(days=shift) for shift in (-1, 0, 1)):
            if day.weekday() in self.days:
                begin = min(_instants(day, self.begin, zone))
                yield begin, max(_instants(day + timedelta(days=days), self.end, zone))


def blocked_until(windows: Iterable[Window], when: float) -> float | None:
    """Return the Unix time at which none of the windows lasts any more; None when none does at ``when``.

    Windows that follow one another count as one, up to a week.
    """
    known = tuple(windows)
    end = when
    while end < when + 7 * 86400 and (ends := [each for window in known if (each := window.end_of(end))]):
        end = max(ends)
    return end if end > when else None


def parse_window(text: str) -> Window:
    """Return the window of a text such as ``Mo-Fr 22:00-06:00 Europe/Berlin``; raises ValueError."""
    found = _FORM.fullmatch(text)
    if not found or not (found["days"] or found["begin"]):
        raise ValueError(text)
    begin, end = (_minutes(found[side]) for side in ("begin", "end")) if found["begin"] else (0, _WHOLE_DAY)
    if begin in (end, _WHOLE_DAY):
        raise Detail(f"'{text}' has no length: for a whole day leave out the times")
    zone = found["zone"] or _UTC
    _zone(zone)
    return Window(_days(found["days"]) if found["days"] else _EVERY_DAY, begin, end, zone)


window = Kind("window", "a window such as Mo-Fr 22:00-06:00 Europe/Berlin, or Sat,Sun", parse_window)


def _days(text: str) -> frozenset[int]:
    return frozenset(day for part in text.split(",") for day in _range(*part.split("-")))


def _range(first: str, last: str = "", *more: str) -> Iterator[int]:
    if more:
        raise ValueError(first)
    begin = _day(first)
    length = (_day(last) - begin) % 7 if last else 0
    return ((begin + step) % 7 for step in range(length + 1))


def _day(text: str) -> int:
    word = text.strip().lower()
    found = [day for day, name in enumerate(DAYS) if name.startswith(word)]
    if len(word) < _SHORTEST_DAY or not found:
        raise Detail(f"'{text.strip()}' is no day of the week{did_you_mean(nearest(word, DAYS))}")
    return found[0]


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    found = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or found > _WHOLE_DAY:
        raise Detail(f"'{text}' is no time of day")
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _instants(day: date, minutes: int, zone: tzinfo) -> tuple[float, float]:
    """Return the Unix times at which the zone's clocks show this: twice the same, but at a change."""
    local = datetime.combine(day + timedelta(days=minutes // _WHOLE_DAY), time(), zone)
    local += timedelta(minutes=minutes % _WHOLE_DAY)  # on the clock, whatever its changes
    return local.replace(fold=0).timestamp(), local.replace(fold=1).timestamp()


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == _UTC:
        return UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError, ValueError):
        known = zoneinfo.available_timezones()
    if not known:
        raise Detail(f"'{name}' cannot be looked up: this system has no time zones, install tzdata")
    raise Detail(f"there is no time zone '{name}'{did_you_mean(nearest(name, known))}")
