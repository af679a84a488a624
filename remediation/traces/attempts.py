"""Spans of carrying out, one for each attempt at each request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.trace import Link, SpanContext, Status, StatusCode

from compose_agent.dockerd.verbs.model import Outcome, Result, VerbRequest
from compose_agent.errors import ComposeAgentError
from compose_agent.tracing import attributes as names
from compose_agent.tracing import context, tracer
from remediation.traces.ids import intent_of, root_of

_tracer = tracer("remediation")
_FULL_ID = 64


class Attempts:
    """Makes the spans, and knows the attempt before of each request that is under way. Thread-safe."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[int, SpanContext]] = {}

    @contextmanager
    def execute(self, request: VerbRequest) -> Iterator[list[Outcome]]:
        """Have a span for what is in the block, which puts the outcome into the list when there is one."""
        number, earlier = self._before.get(request.id, (0, None))
        came: list[Outcome] = []
        began = _tracer.start_span(
            f"execute {request.verb}",
            context.always(context.below(root_of(intent_of(request.id)))),
            attributes={**_about(request), names.ATTEMPT: number + 1},
            links=[Link(earlier, {names.LINK: "attempt before"})] if earlier else (),
        )
        with context.Active(began) as span:
            try:
                yield came
            except ComposeAgentError as error:
                self._before[request.id] = (number + 1, span.get_span_context())
                span.set_attribute(names.ERROR_TYPE, type(error).__name__)
                span.set_status(Status(StatusCode.ERROR, error.message))
                raise
            self._before.pop(request.id, None)
            for outcome in came:
                span.set_attributes({names.RESULT: str(outcome.result), names.DETAIL: outcome.reason})
                if outcome.result is not Result.DONE:
                    span.set_attribute(names.ERROR_TYPE, str(outcome.result))
                    span.set_status(Status(StatusCode.ERROR, outcome.reason))


def _about(request: VerbRequest) -> dict[str, Any]:
    whose = names.CONTAINER_ID if len(request.target) == _FULL_ID else names.TARGET
    return {names.VERB: request.verb, names.REQUEST: request.id, whose: request.target}
