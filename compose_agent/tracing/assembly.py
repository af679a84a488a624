"""Putting a pipeline together; importing this imports the SDK."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from compose_agent.tracing import context
from compose_agent.tracing.exporter import Exporter, Sender
from compose_agent.tracing.pipeline import Pipeline
from compose_agent.tracing.provider import limits, provider
from compose_agent.tracing.recorder import SpoolRecorder
from compose_agent.tracing.records import Span
from compose_agent.tracing.resource import resource_of
from compose_agent.tracing.sampling import sampler
from compose_agent.tracing.settings import Collector, TracingSettings
from compose_agent.tracing.spool import Spool


def assembled(
    process: str,
    settings: TracingSettings,
    folder: Path,
    collector: Collector | None,
    environ: Mapping[str, str],
) -> Pipeline:
    """Return a pipeline that takes the spans of this process from now on."""
    resource = resource_of(process)
    spool = Spool(folder, resource, settings.limits(), exporting=collector is not None)
    recorder = SpoolRecorder(spool)
    exporter = Exporter(spool, collector, _sender, _encode, _partial, keep=recorder.keep)
    exporter.start()
    provided = provider()
    provided.on(recorder, sampler(settings, environ), limits(environ))
    context.on_leave(recorder.keep)
    return Pipeline(spool, recorder, exporter, provided.off, settings.backend_url)


# What exporting needs is there when the first batch is sent, and not before.


def _sender(collector: Collector) -> Sender:
    from compose_agent.tracing.post import Poster  # noqa: PLC0415

    return Poster(collector)


def _encode(resource: Mapping[str, Any], spans: Sequence[Span]) -> bytes:
    from compose_agent.tracing.otlp import request  # noqa: PLC0415

    return request(resource, spans)


def _partial(body: bytes) -> tuple[int, str]:
    if not body:
        return 0, ""
    from compose_agent.otlp import partial_success  # noqa: PLC0415

    return partial_success(body)
