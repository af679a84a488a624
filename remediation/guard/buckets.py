"""Token buckets as values: what is left of a budget, at a moment."""

from __future__ import annotations

import msgspec

from remediation.policies.model import Rate


class Bucket(msgspec.Struct, frozen=True):
    """``tokens`` that were left ``at`` a moment (Unix seconds)."""

    tokens: float
    at: float


def filled(bucket: Bucket | None, rate: Rate, now: float) -> Bucket:
    """Return a bucket as it is now; one that nobody has taken from is full.

    A clock that went back neither fills nor empties it.
    """
    if bucket is None:
        return Bucket(float(rate.count), now)
    gained = max(0.0, now - bucket.at) * rate.count / rate.seconds
    return Bucket(min(float(rate.count), bucket.tokens + gained), now)


def take(bucket: Bucket | None, rate: Rate, now: float) -> Bucket | None:
    """Return a bucket with one token less, None if there is none to take."""
    full = filled(bucket, rate, now)
    return Bucket(full.tokens - 1, now) if full.tokens >= 1 else None


def ready_at(bucket: Bucket | None, rate: Rate, now: float) -> float:
    """Return when there will be a token, which is ``now`` if there is one."""
    missing = 1 - filled(bucket, rate, now).tokens
    return now + max(0.0, missing) * rate.seconds / rate.count
