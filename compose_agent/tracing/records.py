"""What the spool holds: spans as plain values, in MessagePack.

Encoding one costs a few microseconds, and drawing a trace needs no library of OpenTelemetry: protobuf comes
in where a collector is, in the thread that talks to it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

# Of opentelemetry/proto/trace/v1/trace.proto: Span.SpanKind.
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
# … and Status.StatusCode.
UNSET, OK, ERROR = 0, 1, 2
SAMPLED: Final = 1
NS_PER_SECOND: Final = 1_000_000_000


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened within a span, at Unix nanoseconds."""

    name: str
    at: int
    attributes: dict[str, Any] = {}


class Link(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Another span that has to do with this one."""

    trace: bytes
    span: bytes
    attributes: dict[str, Any] = {}
    remote: bool = False


class Span(msgspec.Struct, frozen=True, array_like=True, kw_only=True, gc=False):
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


class Group(msgspec.Struct, frozen=True, array_like=True, gc=False):
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
