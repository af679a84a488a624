"""The tracer provider of this process, of which OpenTelemetry's API takes one and no second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

# An attribute that is longer says nothing more to a person, and a spool of them little about others.
_MOST_ATTRIBUTE_CHARACTERS = 4096
_LENGTH_LIMITS = ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")


class Switch(SpanProcessor, Sampler):
    """Gives spans to whoever is switched on, and has none recorded while nobody is."""

    def __init__(self) -> None:
        self._processor = SpanProcessor()
        self._sampler: Sampler = ALWAYS_OFF

    def on(self, processor: SpanProcessor, sampler: Sampler) -> None:
        """Give spans to a processor from now on, those of which the sampler says so."""
        self._processor, self._sampler = processor, sampler

    def off(self) -> None:
        """Record no more spans; those that are under way are not heard of any more."""
        self._processor, self._sampler = SpanProcessor(), ALWAYS_OFF

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Tell that a span is under way."""
        self._processor.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Tell that a span is over."""
        self._processor.on_end(span)

    def should_sample(  # noqa: PLR0917 - the SDK's
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Decide about one span."""
        return self._sampler.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """Return the sampler in words."""
        return self._sampler.get_description()


_switches: list[Switch] = []


def switch(environ: Mapping[str, str]) -> Switch:
    """Return the switch of this process; the first call makes the provider."""
    if not _switches:
        _switches.append(Switch())
        # The resource stands in the spool, once for many spans.
        provider = TracerProvider(sampler=_switches[0], span_limits=_limits(environ), shutdown_on_exit=False)
        provider.add_span_processor(_switches[0])
        trace.set_tracer_provider(provider)
    return _switches[0]


def _limits(environ: Mapping[str, str]) -> SpanLimits:
    if any(environ.get(name) for name in _LENGTH_LIMITS):
        return SpanLimits()
    return SpanLimits(max_span_attribute_length=_MOST_ATTRIBUTE_CHARACTERS)
