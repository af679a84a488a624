"""The ids of spans that follow from what they are about, so that any process knows them at any time."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache

from opentelemetry.trace import SpanContext, TraceFlags

# What the spans of an action are called, each of which it has once.
ROOT, DECIDE, COMMIT, VERIFY, ESCALATE = "remediate", "decide", "commit", "verify", "escalate"
_TRACE_BYTES, _SPAN_BYTES = 16, 8
_DIGITS = re.compile(r"(?!0{32})[0-9a-f]{32}")


def trace_hex(intent_id: str) -> str:
    """Return the id of an action's trace: the action's own, which is as random as one must be."""
    if _DIGITS.fullmatch(intent_id):
        return intent_id
    return hashlib.blake2b(intent_id.encode(), digest_size=_TRACE_BYTES).hexdigest()


@lru_cache(maxsize=256)
def trace_id(intent_id: str) -> bytes:
    """Return the same as bytes."""
    return bytes.fromhex(trace_hex(intent_id))


def span_id(intent_id: str, what: str) -> bytes:
    """Return the id of the span of an action that is called ``what``.

    It is the second half of the trace's, which is random, with the bits turned that the word says: other
    words give other ids, and so do other actions.
    """
    own = int.from_bytes(trace_id(intent_id)[_SPAN_BYTES:]) ^ _bits(what)
    return (own or 1).to_bytes(_SPAN_BYTES)


def root_of(intent_id: str) -> SpanContext:
    """Return the root of an action's trace, for spans that stand below it."""
    return SpanContext(
        int.from_bytes(trace_id(intent_id)),
        int.from_bytes(span_id(intent_id, ROOT)),
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def intent_of(request_id: str) -> str:
    """Return the id of the intent that a request is for."""
    return request_id.partition(".")[0]


@lru_cache(maxsize=64)
def _bits(what: str) -> int:
    return int.from_bytes(hashlib.blake2b(what.encode(), digest_size=_SPAN_BYTES).digest())
