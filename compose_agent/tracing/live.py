"""A span that is under way: OpenTelemetry's API, and beneath it no more than is written down.

The SDK's own span costs by itself about as much as one of these with everything that follows it, as
``python -m bench.tracing_cost`` prints, and most of that for what this pipeline has elsewhere: a resource and
processors for each, and a second copy once the span is over. What is decided about a span is still the SDK's:
whether it is sampled, and how much may be in it.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from opentelemetry.trace import Link as ApiLink
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import AnyValue, Attributes

from compose_agent.tracing.bounds import Bounds, put
from compose_agent.tracing.records import OK, Event, Link, Span

logger = logging.getLogger(__name__)

_TRACE_BYTES, _SPAN_BYTES = 16, 8


class Recorder(Protocol):
    """Hears of spans."""

    def began(self, span: LiveSpan) -> None:
        """Hear that a span is under way."""

    def over(self, span: LiveSpan) -> None:
        """Hear that a span is over."""


class LiveSpan(ApiSpan):
    """Thread-safe. ``start`` is in Unix nanoseconds; ``scope`` is the module that made it.

    ``above`` is its parent if that is a span of this process.
    """

    __slots__ = (
        "_above",
        "_attributes",
        "_bounds",
        "_context",
        "_end",
        "_events",
        "_kind",
        "_left_out",
        "_links",
        "_lock",
        "_message",
        "_name",
        "_parent",
        "_recorder",
        "_scope",
        "_start",
        "_status",
    )

    def __init__(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        *,
        kind: SpanKind,
        scope: str,
        start: int,
        recorder: Recorder,
        bounds: Bounds,
        above: LiveSpan | None = None,
    ) -> None:
        self._above = above
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind.value + 1  # the API counts from 0, the protocol from 1
        self._scope = scope
        self._start = start
        self._end = 0
        self._status, self._message = 0, ""
        self._attributes: dict[str, Any] = {}
        self._events: list[Event] = []
        self._links: list[Link] = []
        self._left_out = (0, 0, 0)
        self._bounds = bounds
        self._recorder = recorder
        self._lock = threading.Lock()

    @property
    def key(self) -> int:
        """What no other span of this process has."""
        return self._context.span_id

    @property
    def stands_alone(self) -> bool:
        """Whether nothing that it stands in is under way in this process."""
        return self._above is None or not self._above.is_recording()

    def get_span_context(self) -> SpanContext:
        """Return by what others name it."""
        return self._context

    def is_recording(self) -> bool:
        """Tell whether it is not over."""
        return not self._end

    def set_attribute(self, key: str, value: AnyValue) -> None:
        """Set an attribute."""
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, AnyValue]) -> None:
        """Set attributes."""
        with self._lock:
            if not self._ended("set_attributes"):
                self._leave_out(attributes=put(self._attributes, attributes, self._bounds))

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add something that happens now, or at a time in Unix nanoseconds."""
        event = Event(name, timestamp or time.time_ns(), self._taken(attributes))
        with self._lock:
            if self._ended("add_event"):
                return
            if len(self._events) < self._bounds.events:
                self._events.append(event)
            else:
                self._leave_out(events=1)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add another span that has to do with it."""
        with self._lock:
            if self._ended("add_link"):
                return
            self._link(ApiLink(context, attributes))

    def update_name(self, name: str) -> None:
        """Give it another name."""
        with self._lock:
            if not self._ended("update_name"):
                self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Say how it went; that it went well is the last word, as the API has it."""
        code = status if isinstance(status, StatusCode) else status.status_code
        words = description if isinstance(status, StatusCode) else status.description
        with self._lock:
            if self._ended("set_status") or self._status == OK or code is StatusCode.UNSET:
                return
            self._status = code.value
            self._message = words or "" if code is StatusCode.ERROR else ""

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an exception as an event, by the semantic conventions."""
        kind = type(exception)
        module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
        said = {
            "exception.type": f"{module}{kind.__qualname__}",
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
            "exception.escaped": str(escaped),
        }
        self.add_event("exception", {**said, **(attributes or {})}, timestamp)

    def end(self, end_time: int | None = None) -> None:
        """Be over now, or at a time in Unix nanoseconds."""
        with self._lock:
            if self._ended("end"):
                return
            self._end = end_time or time.time_ns()
        self._recorder.over(self)

    def begin(self, attributes: Attributes, links: Sequence[ApiLink]) -> None:
        """Be heard of, with what is known of it at its beginning."""
        if attributes:
            self._leave_out(attributes=put(self._attributes, attributes, self._bounds))
        for each in links:
            self._link(each)
        self._recorder.began(self)

    def record(self) -> Span:
        """Return it as it is written down; while it is under way, as much as is needed to end it."""
        context, parent, over = self._context, self._parent, bool(self._end)
        return Span(
            trace=context.trace_id.to_bytes(_TRACE_BYTES),
            span=context.span_id.to_bytes(_SPAN_BYTES),
            parent=parent.span_id.to_bytes(_SPAN_BYTES) if parent else b"",
            name=self._name,
            kind=self._kind,
            start=self._start,
            end=self._end,
            attributes=self._attributes.copy(),
            events=self._events if over else [],
            links=self._links if over else [],
            status=self._status,
            message=self._message,
            scope=self._scope,
            state=context.trace_state.to_header() if context.trace_state else "",
            flags=int(context.trace_flags),
            remote=parent.is_remote if parent else False,
            left_out=self._left_out,
        )

    def _link(self, link: ApiLink) -> None:
        context = link.context
        if not context.is_valid:
            return
        if len(self._links) >= self._bounds.links:
            self._leave_out(links=1)
            return
        trace, span = context.trace_id.to_bytes(_TRACE_BYTES), context.span_id.to_bytes(_SPAN_BYTES)
        self._links.append(Link(trace, span, self._taken(link.attributes), context.is_remote))

    def _taken(self, attributes: Attributes) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        if attributes:
            put(taken, attributes, self._bounds)
        return taken

    def _leave_out(self, *, attributes: int = 0, events: int = 0, links: int = 0) -> None:
        if attributes or events or links:
            before = self._left_out
            self._left_out = (before[0] + attributes, before[1] + events, before[2] + links)

    def _ended(self, what: str) -> bool:
        if self._end:
            logger.warning("a span is over already", extra={"span": self._name, "asked": what})
        return bool(self._end)
