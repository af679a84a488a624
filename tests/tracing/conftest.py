from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compose_agent.config import Schema, Section
from compose_agent.config.resolve import resolve
from compose_agent.tracing import pipeline
from compose_agent.tracing.fake.collector import FakeCollector
from compose_agent.tracing.pipeline import Pipeline
from compose_agent.tracing.settings import TracingSettings

Start = Callable[..., Pipeline]


def settings(**options: Any) -> TracingSettings:
    """Return the defaults, but for some options."""
    schema = Schema([Section("tracing", TracingSettings, "Tracing")])
    return replace(resolve(schema, [{}]).of(TracingSettings), **options)


@pytest.fixture
def collector() -> Iterator[FakeCollector]:
    with FakeCollector() as collector:
        yield collector


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Return a function that starts a pipeline, which is stopped at the end."""
    with ExitStack() as running:

        def make(
            environ: dict[str, str] | None = None, process: str = "remediation", **options: Any
        ) -> Pipeline:
            given = {"OTEL_BSP_SCHEDULE_DELAY": "20", **(environ or {})}
            made = pipeline.start(process, settings(**{"sample_ratio": 1.0, **options}), tmp_path, given)
            assert made is not None
            running.callback(made.stop, 0.5)
            return made

        yield make
