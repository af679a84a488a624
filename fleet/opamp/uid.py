"""Instance uids: 16 bytes, made as UUID version 7 (RFC 9562), which sort by the time they were made."""

from __future__ import annotations

import secrets
import time
import uuid

UID_BYTES = 16
_VERSION_7 = 0x7
_VARIANT = 0b10


def new_uid(now: float | None = None) -> bytes:
    """Return a new uid; ``now`` is Unix time, None for the clock's."""
    milliseconds = int((time.time() if now is None else now) * 1000) & (2**48 - 1)
    number = milliseconds << 80
    number |= _VERSION_7 << 76
    number |= secrets.randbits(12) << 64
    number |= _VARIANT << 62
    number |= secrets.randbits(62)
    return number.to_bytes(UID_BYTES, "big")


def uid_text(uid: bytes) -> str:
    """Return the usual form with hyphens."""
    return str(uuid.UUID(bytes=uid))


def parse_uid(text: str) -> bytes:
    """Return the uid in its usual form; ValueError for anything else."""
    return uuid.UUID(text).bytes


def is_uid(data: bytes) -> bool:
    """Tell whether these bytes can be a uid: 16 of them, and not all zero."""
    return len(data) == UID_BYTES and any(data)
