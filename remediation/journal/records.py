"""What the journal keeps beside signals, episodes and intents, as plain values."""

from __future__ import annotations

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
