"""Moments of the Engine's own clock: nanoseconds since the epoch here, two kinds of text there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

_NANOSECONDS = 10**9


def engine_time(info: Mapping[str, object]) -> int | None:
    """Return what the Engine's clock shows in an answer of ``GET /info``; None when it shows nothing."""
    try:
        return nanoseconds(str(info.get("SystemTime") or ""))
    except ValueError:
        return None


def nanoseconds(text: str) -> int:
    """Return an RFC 3339 time, which may have nine digits behind the point, as nanoseconds; ValueError."""
    moment = datetime.fromisoformat(text)
    fraction = text.partition(".")[2]
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))][:9]
    return int(moment.replace(microsecond=0).timestamp()) * _NANOSECONDS + int(digits.ljust(9, "0"))


def parameter(time_ns: int) -> str:
    """Return a moment as the Engine takes it in ``since`` and ``until``: ``seconds.nanoseconds``."""
    return f"{time_ns // _NANOSECONDS}.{time_ns % _NANOSECONDS:09d}"
