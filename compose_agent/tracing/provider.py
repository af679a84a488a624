"""The tracer provider of this process, of which OpenTelemetry's API takes one and no second."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.sampling import Decision, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util._decorator import _agnosticcontextmanager
from opentelemetry.util.types import Attributes

from compose_agent.tracing.bounds import Bounds
from compose_agent.tracing.live import LiveSpan, Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

# An attribute that is longer says nothing more to a person, and a spool of them little about others.
_MOST_ATTRIBUTE_CHARACTERS = 4096
_LENGTH_LIMITS = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
_TRACE_BITS, _SPAN_BITS = 128, 64
_DROPPED = TraceFlags(TraceFlags.DEFAULT)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_RANDOM = TraceFlags(TraceFlags.SAMPLED | TraceFlags.RANDOM_TRACE_ID)


@dataclass(frozen=True, slots=True)
class _Wishes:
    """Who hears of spans, of which, and of how much of them."""

    recorder: Recorder
    sampler: Sampler
    bounds: Bounds


class Provider(trace.TracerProvider):
    """Gives spans to whoever is switched on, and has none recorded while nobody is."""

    def __init__(self) -> None:
        self.wishes: _Wishes | None = None

    def on(self, recorder: Recorder, sampler: Sampler, limits: SpanLimits) -> None:
        """Give spans to a recorder from now on, those of which the sampler says so."""
        self.wishes = _Wishes(recorder, sampler, Bounds.of(limits))

    def off(self) -> None:
        """Record no more spans."""
        self.wishes = None

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        """Return what makes the spans of a module."""
        return _Tracer(self, instrumenting_module_name)


class _Tracer(trace.Tracer):
    def __init__(self, provider: Provider, scope: str) -> None:
        self._provider = provider
        self._scope = scope

    def start_span(  # noqa: PLR0917 - the API's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Return a span that is under way. What is below a span of ours that is recorded is recorded too."""
        above = trace.get_current_span(context)
        parent = above.get_span_context()
        wishes = self._provider.wishes
        if wishes is None:
            return NonRecordingSpan(parent)
        trace_id = parent.trace_id if parent.is_valid else random.getrandbits(_TRACE_BITS)
        state: TraceState | None = parent.trace_state
        ours = above if isinstance(above, LiveSpan) else None
        if ours is None:
            decided = wishes.sampler.should_sample(context, trace_id, name, kind, attributes, links)
            attributes, state = decided.attributes, decided.trace_state
            if decided.decision is not Decision.RECORD_AND_SAMPLE:
                return NonRecordingSpan(_named(trace_id, _DROPPED, state))
        flags = _RANDOM if not parent.is_valid or parent.trace_flags.random_trace_id else _SAMPLED
        span = LiveSpan(
            name,
            _named(trace_id, flags, state),
            parent if parent.is_valid else None,
            kind=kind,
            scope=self._scope,
            start=start_time or time.time_ns(),
            recorder=wishes.recorder,
            bounds=wishes.bounds,
            above=ours,
        )
        span.begin(attributes, links or ())
        return span

    @_agnosticcontextmanager
    def start_as_current_span(  # noqa: PLR0917 - the API's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[trace.Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        """Have a span be the active one within a block."""
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(
            span,
            end_on_exit=end_on_exit,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
        ):
            yield span


def _named(trace_id: int, flags: TraceFlags, state: TraceState | None) -> SpanContext:
    span_id = random.getrandbits(_SPAN_BITS)
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags, trace_state=state)


_provided: list[Provider] = []


def provider() -> Provider:
    """Return the provider of this process; the first call makes it."""
    if not _provided:
        _provided.append(Provider())
        trace.set_tracer_provider(_provided[0])
    return _provided[0]


def limits(environ: Mapping[str, str]) -> SpanLimits:
    """Return how much may be in a span: what OpenTelemetry's variables say, and its defaults."""
    if any(environ.get(name) for name in _LENGTH_LIMITS):
        return SpanLimits()
    return SpanLimits(max_span_attribute_length=_MOST_ATTRIBUTE_CHARACTERS)
