"""Lift trace and span ids out of lines, so that a log can be found from its trace."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from compose_agent.config import Option, kinds
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values

# W3C Trace Context: ids of 16 and 8 bytes in hexadecimal, not all zero.
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
# Datadog writes ids as decimal numbers of 64 bits.
_DECIMAL_DIGITS = range(17, 21)
_LARGEST = 2**64

_TRACE_KEYS = (
    "trace_id",
    "traceId",
    "traceID",
    "TraceId",
    "trace.id",
    "otelTraceID",
    "traceid",
    "X-B3-TraceId",
    "logging.googleapis.com/trace",
)
_SPAN_KEYS = (
    "span_id",
    "spanId",
    "spanID",
    "SpanId",
    "span.id",
    "otelSpanID",
    "spanid",
    "X-B3-SpanId",
    "logging.googleapis.com/spanId",
)
# Objects that have ids as members.
_OBJECTS = (("trace", "id"), ("dd", "trace_id"))
_SPAN_OBJECTS = (("span", "id"), ("dd", "span_id"))

_HEX = re.compile(r"[0-9a-f]+")
_PARENT = re.compile(r"\b[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")
_TRACE = re.compile(
    r"trace(?:[_.-]?|\\?[\"']:\s?\{\s?\\?[\"'])id\\?[\"']?\s?[=:]\s?\\?[\"']?([0-9a-f-]{16,36})\b",
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"span(?:[_.-]?|\\?[\"']:\s?\{\s?\\?[\"'])id\\?[\"']?\s?[=:]\s?\\?[\"']?([0-9a-f]{16,20})\b",
    re.IGNORECASE,
)
# Spring Boot: [application,trace,span]
_SPRING = re.compile(r"[,\[]([0-9a-f]{32}|[0-9a-f]{16})[,-]([0-9a-f]{16})[,\]]")
# Where ids are looked for in the text of a line.
_BEGINNING = 4096


class Trace:
    """Sets the fields ``trace_id`` (32 digits) and ``span_id`` (16), where they are found."""

    def __call__(self, events: list[Event]) -> list[Event]:
        """Give events the ids that they name."""
        for event in events:
            fields = event.fields
            trace, span = ids_of_fields(fields) if fields else (None, None)
            if trace is None:
                trace, span = ids_of_text(event.log)
            if trace is None:
                continue
            found = {"trace_id": trace} if span is None else {"trace_id": trace, "span_id": span}
            event.fields = found if fields is None else fields | found
        return events


def ids_of_fields(fields: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the trace and the span that parsed fields name."""
    if (
        (parent := fields.get("traceparent"))
        and isinstance(parent, str)
        and (match := _PARENT.search(parent))
    ):
        return _hexadecimal(match[1], _TRACE_DIGITS), _hexadecimal(match[2], _SPAN_DIGITS)
    trace = _first(fields, _TRACE_KEYS, _OBJECTS, "dd.trace_id", _TRACE_DIGITS)
    if trace is None:
        return None, None
    return trace, _first(fields, _SPAN_KEYS, _SPAN_OBJECTS, "dd.span_id", _SPAN_DIGITS)


def ids_of_text(line: str) -> tuple[str | None, str | None]:
    """Return the trace and the span that a line names by W3C, ``trace_id=…``, or as Spring does."""
    text = line[:_BEGINNING]
    if "00-" in text and (match := _PARENT.search(text)):
        return _hexadecimal(match[1], _TRACE_DIGITS), _hexadecimal(match[2], _SPAN_DIGITS)
    named = _TRACE.search(text) if "race" in text or "RACE" in text else None
    if named and (trace := _id(named[1], _TRACE_DIGITS)):
        span = _SPAN.search(text)
        return trace, _id(span[1], _SPAN_DIGITS) if span else None
    if "[" in text and (match := _SPRING.search(text)):
        return _hexadecimal(match[1], _TRACE_DIGITS), _hexadecimal(match[2], _SPAN_DIGITS)
    return None, None


def _first(
    fields: Mapping[str, Any],
    keys: tuple[str, ...],
    objects: tuple[tuple[str, str], ...],
    decimal: str,
    digits: int,
) -> str | None:
    for key in keys:
        if (value := fields.get(key)) is not None and (found := _id(value, digits)):
            return found
    for name, member in objects:
        value = fields.get(name)
        if isinstance(value, dict) and (found := _id(value.get(member), digits, decimal=name == "dd")):
            return found
    return _id(fields.get(decimal), digits, decimal=True)


def _id(value: object, digits: int, *, decimal: bool = False) -> str | None:
    """Return an id in hexadecimal with this many digits, None for what is none."""
    if isinstance(value, int) and not isinstance(value, bool):
        value, decimal = str(value), True
    if not isinstance(value, str):
        return None
    # Google's projects/NAME/traces/ID; UUIDs; AWS X-Ray's 1-5759e988-bd862e3fe1be46a994272793.
    text = value.rpartition("/")[2].removeprefix("1-").replace("-", "").lower()
    if text.isascii() and text.isdecimal() and (decimal or len(text) in _DECIMAL_DIGITS) and len(text) <= 20:
        number = int(text)
        return f"{number:0{digits}x}" if 0 < number < _LARGEST else None
    return _hexadecimal(text, digits)


def _hexadecimal(text: str, digits: int) -> str | None:
    """Return hexadecimal digits, filled up where a trace has 64 bits only (B3)."""
    if len(text) not in (_SPAN_DIGITS, digits) or not _HEX.fullmatch(text) or not text.strip("0"):
        return None
    return text.rjust(digits, "0")


def _make(values: Values, _counters: Counters) -> Transform | None:
    return Trace() if values["trace"] else None


TRANSFORM = TransformKind(
    name="trace",
    help="Lift trace and span ids out of lines.",
    stage=Stage.LIFT,
    keys=(
        Option(
            "trace",
            kinds.choice("auto"),
            None,
            "Set the fields `trace_id` and `span_id`, from the fields that were parsed, else from the line.",
        ),
    ),
    make=_make,
)
