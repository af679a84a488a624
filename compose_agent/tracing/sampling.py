"""Which spans are recorded: actions always, everything else as its parent or a ratio says."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import Link, SpanKind
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes

from compose_agent.tracing.context import is_always
from compose_agent.tracing.settings import TracingSettings

logger = logging.getLogger(__name__)

_PARENT_BASED = "parentbased_"
# What is no action is a batch of lines as a rule: a few of each minute say how deliveries go.
DEFAULT_RATIO = 0.01


class ActionsAlways(Sampler):
    """Record what is begun in a context that says ``always``; of everything else ``rest`` decides.

    Alertmanager marks its traces as not sampled unless it is told otherwise; that must not silence an action.
    """

    def __init__(self, rest: Sampler) -> None:
        self._rest = rest

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
        if is_always(parent_context):
            parent = trace.get_current_span(parent_context).get_span_context()
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, parent.trace_state)
        return self._rest.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Return the sampler in words."""
        return f"ActionsAlways{{{self._rest.get_description()}}}"


def sampler(settings: TracingSettings, environ: Mapping[str, str]) -> Sampler:
    """Return the sampler that settings and environment ask for."""
    return ActionsAlways(_rest(settings, environ))


def _rest(settings: TracingSettings, environ: Mapping[str, str]) -> Sampler:
    if settings.sample_ratio is not None:
        return ParentBased(TraceIdRatioBased(settings.sample_ratio))
    name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if not name:
        return ParentBased(TraceIdRatioBased(DEFAULT_RATIO))
    roots = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF, "traceidratio": _ratio(environ)}
    root = roots.get(name.removeprefix(_PARENT_BASED))
    if root is None:
        logger.warning("there is no such sampler; all traces are kept", extra={"sampler": name})
        root = ALWAYS_ON
    return ParentBased(root) if name.startswith(_PARENT_BASED) else root


def _ratio(environ: Mapping[str, str]) -> Sampler:
    try:
        return TraceIdRatioBased(float(environ.get("OTEL_TRACES_SAMPLER_ARG", "") or 1.0))
    except ValueError:
        logger.warning("OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1; all traces are kept")
        return ALWAYS_ON
