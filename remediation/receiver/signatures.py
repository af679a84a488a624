"""Signed requests: HMAC-SHA256 over a time and the body, each taken once."""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import time
from collections.abc import Callable, Sequence

from remediation.receiver.refusal import Refusal, Why

TIMESTAMP_HEADER = "X-Compose-Agent-Timestamp"
SIGNATURE_HEADER = "X-Compose-Agent-Signature"
PREFIX = "sha256="
# How far the sender's clock may be off, and for how long a request could be sent again by a listener.
WINDOW_SECONDS = 300.0
# From a time that lies ahead by the whole window to one that lies behind by it.
_REMEMBER_SECONDS = 2 * WINDOW_SECONDS
# Eighty a second all the time; who sends more has a key, and waits.
MOST_REMEMBERED = 50_000
# Of 128 bits none are alike by accident, nor are they made so without the key.
_KEPT_BYTES = 16
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)


def sign(key: bytes, timestamp: str, body: bytes) -> str:
    """Return the value of the header for a body that is sent at ``timestamp`` (Unix seconds)."""
    return PREFIX + _digest(key, timestamp, body).hex()


class Replays:
    """Remembers signatures for as long as their times are believed; thread-safe.

    In two halves, of which the older one is forgotten as a whole.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._young: set[bytes] = set()
        self._old: set[bytes] = set()
        self._turn_at = clock() + _REMEMBER_SECONDS

    def add(self, digest: bytes) -> None:
        """Remember a signature; raises Refusal when it is known, or when no more can be remembered."""
        kept = digest[:_KEPT_BYTES]
        with self._lock:
            self._turn()
            if kept in self._young or kept in self._old:
                raise Refusal(Why.REPLAYED)
            if len(self._young) >= MOST_REMEMBERED:
                raise Refusal(Why.BUSY, "too many signed requests")
            self._young.add(kept)

    def forget(self, digest: bytes) -> None:
        """Let a request be sent again, because nothing became of it."""
        with self._lock:
            self._young.discard(digest[:_KEPT_BYTES])
            self._old.discard(digest[:_KEPT_BYTES])

    def _turn(self) -> None:
        now = self._clock()
        if now >= self._turn_at:
            late = now >= self._turn_at + _REMEMBER_SECONDS
            self._old, self._young = set() if late else self._young, set()
            self._turn_at = now + _REMEMBER_SECONDS


class Signatures:
    """Checks signed requests with any of the keys that ``keys`` returns; ``clock`` gives Unix seconds."""

    def __init__(
        self, keys: Callable[[], Sequence[bytes]], replays: Replays, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._replays = replays
        self._clock = clock

    def check(self, timestamp: str, signature: str, body: bytes) -> bytes:
        """Return the digest of a request that is signed rightly and is not sent again; raises Refusal."""
        if not _TIMESTAMP.fullmatch(timestamp):
            raise Refusal(Why.WRONG_SIGNATURE)
        digest = self._matching(timestamp, signature.strip().lower(), body)
        if digest is None:
            raise Refusal(Why.WRONG_SIGNATURE)
        if abs(self._clock() - int(timestamp)) > WINDOW_SECONDS:
            raise Refusal(Why.STALE_SIGNATURE)
        self._replays.add(digest)
        return digest

    def _matching(self, timestamp: str, given: str, body: bytes) -> bytes | None:
        expected = [_digest(key, timestamp, body) for key in self._keys()]
        # All of them, so that the time does not tell which one it was.
        equal = [_is_same(PREFIX + each.hex(), given) for each in expected]
        return next((digest for digest, same in zip(expected, equal, strict=True) if same), None)


def _digest(key: bytes, timestamp: str, body: bytes) -> bytes:
    signed = hmac.new(key, f"{timestamp}.".encode(), hashlib.sha256)
    signed.update(body)
    return signed.digest()


def _is_same(expected: str, given: str) -> bool:
    # Headers are any Latin-1, which compare_digest takes as bytes only.
    return hmac.compare_digest(expected.encode(), given.encode())
