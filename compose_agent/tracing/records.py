"""What the spool holds: spans as plain values, in MessagePack.

Encoding one costs a few microseconds, and drawing a trace needs no library of OpenTelemetry: protobuf comes
in where a collector is, in the thread that talks to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from opentelemetry import trace as sdk
    from opentelemetry.sdk.trace import ReadableSpan

# Of opentelemetry/proto/trace/v1/trace.proto: Span.SpanKind.
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
# … and Status.StatusCode.
UNSET, OK, ERROR = 0, 1, 2
SAMPLED: Final = 1
NS_PER_SECOND: Final = 1_000_000_000
_TRACE_BYTES, _SPAN_BYTES = 16, 8


class Event(msgspec.Struct, frozen=True, array_like=True):
    """Something that happened within a span, at Unix nanoseconds."""

    name: str
    at: int
    attributes: dict[str, Any] = {}


class Link(msgspec.Struct, frozen=True, array_like=True):
    """Another span that has to do with this one."""

    trace: bytes
    span: bytes
    attributes: dict[str, Any] = {}
    remote: bool = False


class Span(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One span; times are Unix nanoseconds, and ``end`` is 0 while it is not over.

    ``trace`` has 16 bytes, ``span`` and ``parent`` have 8; ``parent`` is empty at the root. ``left_out``
    counts attributes, events and links beyond the limits of the SDK.
    """

    trace: bytes
    span: bytes
    parent: bytes = b""
    name: str
    kind: int = INTERNAL
    start: int
    end: int = 0
    attributes: dict[str, Any] = {}
    events: list[Event] = []
    links: list[Link] = []
    status: int = UNSET
    message: str = ""
    scope: str = ""
    state: str = ""  # tracestate
    flags: int = SAMPLED
    remote: bool = False  # whether the parent is of another process
    left_out: tuple[int, int, int] = (0, 0, 0)


class Group(msgspec.Struct, frozen=True, array_like=True):
    """What is appended at once: all of it is there after a crash, or nothing.

    ``begun`` are spans that are not over, of which something in the world may know already. ``marks`` are
    numbers that a source of spans keeps, such as how far it has read.
    """

    begun: list[Span] = []
    spans: list[Span] = []
    marks: dict[str, int] = {}


class Header(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of a segment: who wrote it, and what is so far.

    ``base`` is how many spans came before; ``begun`` and ``marks`` are those in force.
    """

    version: int
    resource: dict[str, Any]
    base: int
    begun: list[Span] = []
    marks: dict[str, int] = {}


def begun_of(span: ReadableSpan) -> Span:
    """Return a span of the SDK that is under way, as far as it is needed to end it after a kill."""
    context, parent, scope = span.context, span.parent, span.instrumentation_scope
    return Span(
        trace=context.trace_id.to_bytes(_TRACE_BYTES),
        span=context.span_id.to_bytes(_SPAN_BYTES),
        parent=parent.span_id.to_bytes(_SPAN_BYTES) if parent else b"",
        name=span.name,
        kind=span.kind.value + 1,
        start=span.start_time or 0,
        attributes=dict(span.attributes or {}),
        scope=scope.name if scope else "",
        flags=int(context.trace_flags),
        remote=parent.is_remote if parent else False,
    )


def span_of(span: ReadableSpan) -> Span:
    """Return a span of the SDK that is over as a value."""
    context, events, links = span.context, span.events, span.links
    found = msgspec.structs.replace(begun_of(span), end=span.end_time or 0)
    if events or links or span.dropped_attributes:
        found = msgspec.structs.replace(
            found,
            events=[Event(each.name, each.timestamp, dict(each.attributes or {})) for each in events],
            links=[_link(each) for each in links],
            left_out=(span.dropped_attributes, span.dropped_events, span.dropped_links),
        )
    status = span.status
    if status.description or status.status_code.value or context.trace_state:
        found = msgspec.structs.replace(
            found,
            status=status.status_code.value,
            message=status.description or "",
            state=context.trace_state.to_header() if context.trace_state else "",
        )
    return found


def _link(link: sdk.Link) -> Link:
    return Link(
        link.context.trace_id.to_bytes(_TRACE_BYTES),
        link.context.span_id.to_bytes(_SPAN_BYTES),
        dict(link.attributes or {}),
        link.context.is_remote,
    )
