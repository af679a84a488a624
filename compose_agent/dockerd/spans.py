"""Spans of calls to the Engine, within a trace only: what is asked all day long is nobody's action."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span

from compose_agent.errors import EngineError
from compose_agent.tracing import attributes as names
from compose_agent.tracing import context, tracer

_tracer = tracer(__name__)


@contextmanager
def engine_span(call: str, address: str) -> Iterator[Span | None]:
    """Have a span for a call, if a trace is active; ``address`` is the Engine's."""
    if not context.within_trace():
        yield None
        return
    about = {names.ENGINE_CALL: call, names.SERVER_ADDRESS: address}
    if address.startswith("unix:"):
        about[names.NETWORK_TRANSPORT] = "unix"
    began = _tracer.start_span(f"engine {call}", kind=SpanKind.CLIENT, attributes=about)
    with context.Active(began) as span:
        try:
            yield span
        except EngineError as error:
            span.set_attribute(names.ERROR_TYPE, type(error).__name__)
            span.set_status(Status(StatusCode.ERROR, error.message))
            raise


def traced_headers() -> dict[str, str]:
    """Return the headers by which the Engine's own spans join the active trace; none without one."""
    headers: dict[str, str] = {}
    span = get_current_span()
    if span.is_recording():
        context.tell_of(span, headers)
    return headers
