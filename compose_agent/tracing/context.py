"""Which span is active, and how others are told of it: with the OpenTelemetry API alone."""

from __future__ import annotations

import re
from collections.abc import Callable, MutableMapping
from types import TracebackType

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_value, set_value
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

# W3C Trace Context, version 00. Whatever else is in such a header is nobody's trace.
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_ALWAYS = "compose-agent-always"


def _nothing() -> None:
    """Have nothing to keep."""


_keep: Callable[[], None] = _nothing


def on_leave(keep: Callable[[], None] | None) -> None:
    """Have ``keep`` called before another process is told of the active span; None: nothing any more."""
    global _keep  # noqa: PLW0603 - there is one pipeline in a process, as there is one tracer provider
    _keep = keep or _nothing


def tell(headers: MutableMapping[str, str]) -> None:
    """Add the headers that name the active span, if there is one (W3C Trace Context).

    What is under way is written down first: spans that another process makes below it must find it, even if
    this process is killed meanwhile.
    """
    tell_of(trace.get_current_span(), headers)


def tell_of(span: trace.Span, headers: MutableMapping[str, str]) -> None:
    """Do the same for a span that is known to be the active one."""
    if header := traceparent_of(span):
        _keep()
        headers["traceparent"] = header
        if state := span.get_span_context().trace_state:
            headers["tracestate"] = state.to_header()


def active_ids() -> tuple[str, str] | None:
    """Return trace and span id of the active span in hexadecimal digits, None when there is none."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def within_trace() -> bool:
    """Tell whether a span is active that is recorded."""
    return trace.get_current_span().is_recording()


def parse(traceparent: str) -> SpanContext | None:
    """Return the span that a header names, None for anything that is not exactly of that form."""
    found = _TRACEPARENT.fullmatch(traceparent)
    if not found:
        return None
    return SpanContext(
        int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=TraceFlags(int(found[3], 16))
    )


def traceparent_of(span: trace.Span) -> str:
    """Return the header that names a span, empty for one that is not valid."""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def below(parent: SpanContext | None) -> Context:
    """Return the context in which new spans have this parent, or none."""
    return trace.set_span_in_context(NonRecordingSpan(parent), Context()) if parent else Context()


def always(context: Context) -> Context:
    """Return a context in which a new span is recorded whatever its parent's flags or the ratio say."""
    return set_value(_ALWAYS, value=True, context=context)


def is_always(context: Context | None) -> bool:
    """Tell whether ``always`` was said of a context."""
    return bool(get_value(_ALWAYS, context))


class Active:
    """Have a span be the active one within a block, and over after it.

    It is what the API's ``start_as_current_span`` does without noting exceptions, which is three generators
    for each span. Whoever uses it notes what went wrong itself, without what might be secret.
    """

    __slots__ = ("_span", "_token")

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def __enter__(self) -> trace.Span:
        self._token = attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        detach(self._token)
        self._span.end()
