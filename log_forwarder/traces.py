"""Spans of deliveries, or some of them, and of lines that are refused.

A batch carries lines of many traces, so it is in none of them: it is linked to those that a transform
has found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode

from compose_agent.dockerd.model import Container
from compose_agent.tracing import attributes as names
from compose_agent.tracing import context, pipeline, tracer
from compose_agent.tracing.containers import about_container
from compose_agent.tracing.records import NS_PER_SECOND
from log_forwarder.event import Batch, Event
from log_forwarder.latency import Latency

_tracer = tracer(__name__)
# A backend shows no more, and each is a line of some thousand.
_MOST_LINKS = 32


class Deliveries:
    """Hears of the batches that a sink has confirmed: for the histogram of latencies, and for traces."""

    def __init__(
        self,
        sink: str,
        latency: Latency,
        traces: Callable[[], bool] = lambda: pipeline.current() is not None,
    ) -> None:
        self._sink = sink
        self._latency = latency
        self._traces = traces

    def observe(self, batch: Batch) -> None:
        """Take a batch that is confirmed now."""
        if not self._traces() or not batch.events:
            self._latency.observe(batch)
            return
        span = self._begun(batch)
        self._latency.observe(batch, span.get_span_context() if span.is_recording() else None)
        span.end()

    def _begun(self, batch: Batch) -> Span:
        waited = time.monotonic() - batch.read_at
        span = _tracer.start_span(
            f"deliver {self._sink}",
            Context(),
            SpanKind.PRODUCER,
            {names.SINK: self._sink, names.LINES: len(batch.events), names.AGAIN: batch.again},
            start_time=time.time_ns() - int(waited * NS_PER_SECOND),
        )
        if span.is_recording():
            span.set_attributes(about_container(batch.container))
            for line in traces_of(batch.events):
                span.add_link(line, {names.LINK: "line"})
        return span


def refused(sink: str, container: Container, event: Event, reason: str) -> None:
    """Make a span of a line that goes to the dead letters."""
    span = _tracer.start_span(
        f"dead letter {sink}",
        context.always(Context()),
        attributes={names.SINK: sink, names.DETAIL: reason, **about_container(container)},
        links=[Link(line, {names.LINK: "line"}) for line in traces_of([event])],
    )
    span.set_status(Status(StatusCode.ERROR, reason))
    span.end()


def traces_of(events: Iterable[Event]) -> list[SpanContext]:
    """Return the traces that lines name, each once and the first ones only."""
    found: dict[tuple[int, int], SpanContext] = {}
    for each in events:
        fields = each.fields
        if fields and (line := _trace(fields.get("trace_id"), fields.get("span_id"))):
            found[line.trace_id, line.span_id] = line
            if len(found) == _MOST_LINKS:
                break
    return list(found.values())


def _trace(trace: object, span: object) -> SpanContext | None:
    if not isinstance(trace, str) or not isinstance(span, str):
        return None  # a link needs both
    return context.parse(f"00-{trace}-{span}-01")
