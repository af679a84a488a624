"""A real OpenTelemetry Collector that is killed, frozen and started again: it has every span in the end."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from bench.patients import wait_until
from compose_agent.tracing import pipeline, tracer
from compose_agent.tracing.fake.collector import Behaviour, FakeCollector
from compose_agent.tracing.ledger import Account
from lab.otelcol import OtelCollector
from tests.tracing.conftest import settings

# Not for an Engine, but for what takes minutes to build the first time.
pytestmark = [pytest.mark.engine]

TRACER = tracer("tests")
PATIENCE_SECONDS = 90.0


def work(count: int) -> None:
    for number in range(count):
        with TRACER.start_as_current_span("work", attributes={"number": number, "words": ["a", "b"]}) as span:
            span.add_event("half way")


def test_a_collector_that_is_killed_and_frozen_has_every_span(tmp_path: Path) -> None:
    with FakeCollector() as judge, OtelCollector(judge.url) as collector:
        environ = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_EXPORTER_OTLP_TIMEOUT": "1000"}
        traces = pipeline.start(
            "remediation", settings(endpoint=collector.url, sample_ratio=1.0), tmp_path, environ
        )
        assert traces is not None
        work(200)
        collector.process.end(signal.SIGKILL)
        work(200)
        time.sleep(1.0)
        collector.process.start()
        work(200)
        collector.process.freeze()
        work(200)
        time.sleep(2.0)
        collector.process.thaw()
        work(200)
        done = Account(created=1000, exported=1000)
        wait_until(lambda: traces.account() == done, "not all was exported", PATIENCE_SECONDS)
        traces.stop(1.0)
        assert len(judge.spans) - judge.repeated() == 1000
        assert {each.name for each in judge.spans} == {"work"}


def test_what_the_collector_cannot_hand_on_is_kept_here(tmp_path: Path) -> None:
    """Without a queue it answers with what the next one says: our spans wait for that one."""
    with FakeCollector() as judge, OtelCollector(judge.url) as collector:
        judge.behave(Behaviour(status=503))
        traces = pipeline.start(
            "remediation", settings(endpoint=collector.url, sample_ratio=1.0), tmp_path, {}
        )
        assert traces is not None
        work(50)
        wait_until(lambda: judge.requests > 0, "nothing came", PATIENCE_SECONDS)
        kept = Account(created=50, spooled=50)
        wait_until(lambda: traces.account() == kept, "not all is kept", PATIENCE_SECONDS)
        judge.behave(Behaviour())
        done = Account(created=50, exported=50)
        wait_until(lambda: traces.account() == done, "not all was exported", PATIENCE_SECONDS)
        traces.stop(1.0)
        assert len(judge.spans) == 50
