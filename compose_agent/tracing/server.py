"""Spans of requests that begin or carry an action, by the semantic conventions for HTTP servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from wsgiref.types import WSGIEnvironment

from opentelemetry import context as api
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from compose_agent.tracing import attributes as names
from compose_agent.tracing import context, tracer

_tracer = tracer(__name__)
_FAULTS = 500


@contextmanager
def server_span(environ: WSGIEnvironment, route: str, *, start: int | None = None) -> Iterator[Span]:
    """Have a span for a request that is being answered, below the trace that it names (``traceparent``).

    It is recorded whatever the flags of that trace say: only requests that lead to something have one.
    ``start`` is in Unix nanoseconds. Whoever answers sets the status with :func:`answered`.
    """
    caller = context.parse(str(environ.get("HTTP_TRACEPARENT", "")))
    active = api.get_current() if caller is None else context.below(caller)
    method = str(environ.get("REQUEST_METHOD", ""))
    began = _tracer.start_span(
        f"{method} {route}",
        context.always(active),
        kind=SpanKind.SERVER,
        attributes={
            names.HTTP_METHOD: method,
            names.HTTP_ROUTE: route,
            names.URL_PATH: str(environ.get("PATH_INFO", "")),
            names.SERVER_ADDRESS: str(environ.get("SERVER_NAME", "")),
        },
        start_time=start,
    )
    with context.Active(began) as span:
        try:
            yield span
        except Exception as error:
            span.set_attribute(names.ERROR_TYPE, type(error).__name__)
            raise


def answered(span: Span, status: int) -> None:
    """Note with which status a request is answered; faults of ours make the span one."""
    span.set_attribute(names.HTTP_STATUS, status)
    if status >= _FAULTS:
        span.set_attribute(names.ERROR_TYPE, str(status))
        span.set_status(Status(StatusCode.ERROR))
