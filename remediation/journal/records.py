"""What the journal keeps beside signals, episodes and intents, as plain values."""

from __future__ import annotations

from typing import Any

import msgspec

# While this flag is set nothing is begun; its value is a sentence that says who set it, when and why.
FREEZE_FLAG = "freeze"


class Occurrence(msgspec.Struct, frozen=True):
    """One firing of an alert from its start to its end: how often it was told of, and when last.

    ``firing`` is False once it was said to have resolved; what comes late does not change that.
    """

    firing: bool
    count: int
    last_at: float


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit; ``hash`` is in hexadecimal digits.

    ``subjects`` are ids by what they are: ``fingerprint``, ``alert``, ``episode``, ``intent``, ``container``,
    ``service``, ``group``. ``fields`` are those of the kind.
    """

    seq: int
    at: float
    kind: str
    subjects: dict[str, str]
    fields: dict[str, Any]
    hash: str
