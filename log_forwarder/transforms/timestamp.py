"""Find the time that a line itself says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from compose_agent.config import Option, kinds
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values

_KEYS = (
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "datetime",
    "time_local",
    "asctime",
    "date",
    "eventTime",
    "t",
)
# From 2001 to 2286, in which seconds have ten digits; milli-, micro- and nanoseconds follow.
_EPOCH_FROM, _EPOCH_TO = 1e9, 1e10
_SCALES = (1, 1_000, 1_000_000, 1_000_000_000)

_ISO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:[.,]([0-9]{1,9}))?"
    r" ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?(?![0-9])"
)
# nginx and Go: 2026/01/02 03:04:05.000123
_SLASHED = re.compile(
    r"([0-9]{4})/([0-9]{2})/([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(?![0-9])"
)
# Access logs: 02/Jan/2026:03:04:05 +0100
_ACCESS = re.compile(r"([0-9]{2}/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}:[0-9]{2} [+-][0-9]{4})")
# Apache: Fri Jan 02 03:04:05.123456 2026; Redis: 02 Jan 2026 03:04:05.123; klog: I0102 03:04:05.123
_APACHE = re.compile(r"[A-Z][a-z]{2} ([A-Z][a-z]{2} [0-9 ][0-9] [0-9:]{8})(\.[0-9]{1,6})? ([0-9]{4})")
_REDIS = re.compile(r"([0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8})(?:\.([0-9]{1,6}))?")
_KLOG = re.compile(r"[IWEF]([0-9]{2})([0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?")
# RFC 3164: Jan  2 03:04:05
_SYSLOG = re.compile(r"(?:<[0-9]{1,3}>)?([A-Z][a-z]{2} [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2})(?![0-9])")
# How far into a line a time may begin: behind a bracket, a process number, a host and user.
_BEGINS_WITHIN = 64
_LONGEST = 40


class Timestamp:
    """Sets the field ``timestamp`` to RFC 3339, where the line says a time; Docker's stays the event's."""

    def __call__(self, events: list[Event]) -> list[Event]:
        """Give events their own time."""
        for event in events:
            fields = event.fields
            found = _of_fields(fields, event.time) if fields else None
            if found is None:
                found = time_in(event.log, event.time)
            if found is not None:
                if fields is None:
                    event.fields = {"timestamp": found}
                else:
                    fields["timestamp"] = found
        return events


def _of_fields(fields: Mapping[str, Any], near: str) -> str | None:
    for key in _KEYS:
        if (value := fields.get(key)) is not None and (found := time_of(value, near)):
            return found
    return None


def time_of(value: object, near: str) -> str | None:
    """Return the RFC 3339 time of a value: a text, a number since 1970 in any unit, or MongoDB's object."""
    if isinstance(value, dict):
        value = value.get("$date")
    if isinstance(value, str):
        found = time_in(value, near)
        return found or (_epoch(value) if value[:1].isdecimal() else None)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _epoch(str(value) if isinstance(value, int) else repr(value))
    return None


def time_in(line: str, near: str) -> str | None:
    """Return the RFC 3339 time at the beginning of a text, None if there is none.

    ``near`` is Docker's time, which gives the year to formats without one. Times without a zone are UTC.
    """
    text = line[: _BEGINS_WITHIN + _LONGEST]
    for pattern, convert in _FORMATS:
        match = pattern.search(text)
        if match and match.start() < _BEGINS_WITHIN:
            try:
                return convert(match, near)
            except ValueError:
                continue
    return None


def _epoch(text: str) -> str | None:
    try:
        number = float(text)
    except ValueError:
        return None
    for scale in _SCALES:
        if _EPOCH_FROM <= number / scale < _EPOCH_TO:
            return _from_seconds(text, scale)
    return None


def _from_seconds(text: str, scale: int) -> str:
    """Return the time of a number of units since 1970, digit by digit where it is an integer."""
    if text.isdecimal():
        whole, rest = divmod(int(text), scale)
        fraction = f"{rest:0{len(str(scale)) - 1}d}" if scale > 1 else ""
    else:
        whole, micros = divmod(round(float(text) / scale * 1_000_000), 1_000_000)
        fraction = f"{micros:06d}"
    return _joined(datetime.fromtimestamp(whole, UTC), fraction)


def _joined(moment: datetime, fraction: str | None) -> str:
    head = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{head}.{fraction}Z" if fraction else f"{head}Z"


def _iso(match: re.Match[str], _near: str) -> str:
    date, clock, fraction, zone = match.groups()
    head = f"{date}T{clock}"
    if zone in (None, "Z", "UTC"):
        datetime.fromisoformat(head)
        return f"{head}.{fraction}Z" if fraction else f"{head}Z"
    return _joined(datetime.fromisoformat(head + zone), fraction)


def _slashed(match: re.Match[str], _near: str) -> str:
    year, month, day, clock, fraction = match.groups()
    return _joined(_utc(f"{year}-{month}-{day}T{clock}"), fraction)


def _access(match: re.Match[str], _near: str) -> str:
    return _joined(datetime.strptime(match[1], "%d/%b/%Y:%H:%M:%S %z"), "")


def _apache(match: re.Match[str], _near: str) -> str:
    moment = datetime.strptime(f"{match[1]} {match[3]} +0000", "%b %d %H:%M:%S %Y %z")
    return _joined(moment, (match[2] or "")[1:])


def _redis(match: re.Match[str], _near: str) -> str:
    return _joined(datetime.strptime(f"{match[1]} +0000", "%d %b %Y %H:%M:%S %z"), match[2])


def _klog(match: re.Match[str], near: str) -> str:
    month, day, clock, fraction = match.groups()
    return _joined(_nearest_year(f"{month}-{day}T{clock}", near), fraction)


def _syslog(match: re.Match[str], near: str) -> str:
    moment = datetime.strptime(f"2000 {match[1]}", "%Y %b %d %H:%M:%S")  # noqa: DTZ007 - the zone comes below
    return _joined(_nearest_year(moment.strftime("%m-%dT%H:%M:%S"), near), "")


def _nearest_year(rest: str, near: str) -> datetime:
    """Return the time in the year of Docker's, or around New Year in the one beside it."""
    docker = _utc(near[:19])
    found = _utc(f"{docker.year}-{rest}")
    months = (found - docker).days / 30
    if abs(months) < 6:
        return found
    return _utc(f"{docker.year - (1 if months > 0 else -1)}-{rest}")


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}+00:00")


Convert = Callable[[re.Match[str], str], str]
_FORMATS: tuple[tuple[re.Pattern[str], Convert], ...] = (
    (_ISO, _iso),
    (_SLASHED, _slashed),
    (_ACCESS, _access),
    (_APACHE, _apache),
    (_REDIS, _redis),
    (_KLOG, _klog),
    (_SYSLOG, _syslog),
)


def _make(values: Values, _counters: Counters) -> Transform | None:
    return Timestamp() if values["timestamp"] else None


TRANSFORM = TransformKind(
    name="timestamp",
    help="Find the time that lines say.",
    stage=Stage.LIFT,
    keys=(
        Option(
            "timestamp",
            kinds.choice("auto"),
            None,
            "Set the field `timestamp` to the time that the line says, in RFC 3339, from parsed fields, else "
            "from the beginning of the line; Docker's time stays the event's.",
        ),
    ),
    make=_make,
)
