"""How an action's trace is named where others are told of the action: nowhere, while nobody traces."""

from __future__ import annotations

from compose_agent.tracing import context, pipeline
from remediation.traces.ids import DECIDE, ROOT, VERIFY, span_id, trace_hex

# Which span an entry of the audit is about; all others are about the action as a whole.
_SPANS = {"decided": DECIDE, "verified": VERIFY}


def of_entry(kind: str, intent_id: str | None) -> dict[str, str]:
    """Return trace and span of an entry of the audit, for its fields."""
    if not intent_id or pipeline.current() is None:
        return {}
    span = span_id(intent_id, _SPANS.get(kind, ROOT))
    return {"trace_id": trace_hex(intent_id), "span_id": span.hex()}


def of_signal(traceparent: str) -> dict[str, str]:
    """Return trace and span in which a signal was received, for the audit's fields."""
    if not traceparent or context.parse(traceparent) is None:
        return {}
    _, trace, span, _ = traceparent.split("-")
    return {"trace_id": trace, "span_id": span}


def for_alert(intent_id: str) -> dict[str, str]:
    """Return annotations for an alert about an action."""
    if (running := pipeline.current()) is None:
        return {}
    trace = trace_hex(intent_id)
    link = running.link(trace)
    return {"trace_id": trace, **({"trace_url": link} if link else {})}


def html(intent_id: str) -> str:
    """Return words for an annotation in Grafana, which shows HTML."""
    if (running := pipeline.current()) is None:
        return ""
    trace = trace_hex(intent_id)
    link = running.link(trace)
    return f' <a href="{link}">trace {trace}</a>' if link else f" (trace {trace})"
