"""The span of receiving alerts, to which the traces of the actions that follow are linked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.types import WSGIEnvironment

from opentelemetry.trace import Span

from compose_agent.tracing import attributes as names
from compose_agent.tracing import context
from compose_agent.tracing.server import answered, server_span
from remediation.receiver.refusal import Refusal

Reply = dict[str, object]
_ACCEPTED = 202


@contextmanager
def receipt(environ: WSGIEnvironment, route: str, start: int) -> Iterator[Span]:
    """Have a span for a request that is being taken, since ``start`` in Unix nanoseconds."""
    with server_span(environ, route, start=start) as span:
        try:
            yield span
        except Refusal as refusal:
            answered(span, refusal.response().status)
            raise
        answered(span, _ACCEPTED)


def traceparent(span: Span, environ: WSGIEnvironment) -> str:
    """Return the span to which actions are linked: this one, or the caller's where this is not recorded."""
    if span.is_recording():
        return context.traceparent_of(span)
    given = str(environ.get("HTTP_TRACEPARENT", ""))
    return given if context.parse(given) else ""


def reply(span: Span, received: int) -> Reply:
    """Return what is answered: how many signals were received, and in which trace."""
    span.set_attribute(names.SIGNALS, received)
    if not span.is_recording():
        return {"received": received}
    return {"received": received, "trace_id": f"{span.get_span_context().trace_id:032x}"}
