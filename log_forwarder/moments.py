"""Docker's times as numbers."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

# ``2026-01-02T03:04:05``; lines of the same second, which are the rule, are converted once.
_SECOND_CHARACTERS = 19
_REMEMBERED_SECONDS = 64


def unix_seconds(time: str) -> float:
    """Return Unix seconds of Docker's ``2026-01-02T03:04:05.678901234Z``; 0 for what is no such time."""
    try:
        return _second(time[:_SECOND_CHARACTERS]) + float(f"0{time[_SECOND_CHARACTERS:-1]}")
    except ValueError:
        return 0.0


@lru_cache(_REMEMBERED_SECONDS)
def _second(text: str) -> float:
    return datetime.fromisoformat(f"{text}+00:00").timestamp()
