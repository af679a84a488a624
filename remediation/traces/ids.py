"""The ids of spans that follow from what they are about, so that any process knows them at any time."""

from __future__ import annotations

import hashlib

from opentelemetry.trace import SpanContext, TraceFlags

_TRACE_DIGITS, _TRACE_BYTES, _SPAN_BYTES = 32, 16, 8
ROOT = "remediate"


def trace_id(intent_id: str) -> bytes:
    """Return the id of an action's trace: the action's own, which is as random as one must be."""
    if len(intent_id) == _TRACE_DIGITS:
        try:
            return bytes.fromhex(intent_id)
        except ValueError:
            pass
    return hashlib.blake2b(intent_id.encode(), digest_size=_TRACE_BYTES).digest()


def span_id(intent_id: str, what: str) -> bytes:
    """Return the id of the span of an action that is called ``what``."""
    return hashlib.blake2b(f"{intent_id} {what}".encode(), digest_size=_SPAN_BYTES).digest()


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
