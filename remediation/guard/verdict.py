"""What the guard says of an intent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.model import Reason


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: ask again at ``until`` (Unix seconds), or when something changes."""

    reason: Reason
    detail: str
    until: float


@dataclass(frozen=True, slots=True)
class Never:
    """Not at all."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Go:
    """Now; ``buckets`` are what is left of every budget then, ``breaker`` what becomes of the breaker."""

    buckets: Mapping[str, Bucket]
    breaker: Breaker


Verdict = Go | Wait | Never
