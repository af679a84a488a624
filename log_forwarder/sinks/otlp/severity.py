"""Levels as severity numbers of the OpenTelemetry log data model."""

from __future__ import annotations

_NUMBERS = {
    "trace": 1,
    "debug": 5,
    "info": 9,
    "information": 9,
    "informational": 9,
    "notice": 10,
    "warn": 13,
    "warning": 13,
    "error": 17,
    "err": 17,
    "critical": 21,
    "crit": 21,
    "alert": 22,
    "fatal": 21,
    "panic": 22,
    "emergency": 23,
    "emerg": 23,
}


def severity_number(level: str) -> int:
    """Return the number of a level, in whatever case; 0, which means none, for an unknown one."""
    return _NUMBERS.get(level.lower(), 0)
