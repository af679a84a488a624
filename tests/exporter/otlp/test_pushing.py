"""From a world to a fake collector, with what collectors do at times."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from compose_agent.tracing.fake.collector import Behaviour, FakeCollector
from exporter.otlp.pushing import Pushing
from tests.exporter.build import box, scraper, world
from tests.tracing.conftest import settings

INTERVAL = 0.05
PATIENCE_SECONDS = 20.0


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


@contextmanager
def pushing(endpoint: str | None, **environ: str) -> Iterator[tuple[Pushing, Counter[str]]]:
    outcomes: Counter[str] = Counter()
    made = scraper(world(box()))
    told = Pushing(
        settings(endpoint=endpoint),
        lambda: made.look(1.0),
        lambda outcome: outcomes.update([outcome]),
        environ,
    )
    try:
        yield told, outcomes
    finally:
        told.change(0.0)


def test_it_pushes_from_when_it_is_told_to_until_it_is_told_not_to() -> None:
    with FakeCollector() as collector, pushing(collector.url) as (pushes, outcomes):
        time.sleep(2 * INTERVAL)
        assert collector.requests == 0
        pushes.change(INTERVAL)
        until(lambda: outcomes["taken"] >= 2)
        pushes.change(0.0)
        came = collector.requests
        time.sleep(4 * INTERVAL)
        assert collector.requests == came
        names = {each.name for each in collector.metrics[-1].scope_metrics[0].metrics}
        assert "container.cpu.time" in names
        assert not collector.spans


def test_variables_of_opentelemetry_say_where_to() -> None:
    with FakeCollector() as collector:
        variables = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{collector.url}/v1/metrics",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
            "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "authorization=Bearer%20s3cret",
        }
        with pushing(None, **variables) as (pushes, outcomes):
            pushes.change(INTERVAL)
            until(lambda: outcomes["taken"] >= 1)
        assert collector.headers[0]["authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    "environ", [{}, {"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}]
)
def test_without_a_collector_it_says_so(environ: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    with pushing(None, **environ) as (pushes, outcomes):
        pushes.change(INTERVAL)
        time.sleep(2 * INTERVAL)
    assert not outcomes
    assert ["no collector is configured" in each.message for each in caplog.records] == [True]


def test_a_collector_that_is_away_is_told_of_once_and_pushed_to_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    with FakeCollector() as collector, pushing(collector.url) as (pushes, outcomes):
        collector.behave(Behaviour(status=503))
        pushes.change(INTERVAL)
        until(lambda: outcomes["failed"] >= 3)
        collector.behave(Behaviour())
        until(lambda: outcomes["taken"] >= 1)
        until(lambda: len(caplog.records) == 2)
    assert [each.message for each in caplog.records] == ["metrics are not pushed", "metrics are pushed again"]


def test_a_collector_that_asks_for_patience_gets_it() -> None:
    with FakeCollector() as collector, pushing(collector.url) as (pushes, outcomes):
        collector.behave(Behaviour(status=429, retry_after="1"))
        began = time.monotonic()
        pushes.change(INTERVAL)
        until(lambda: outcomes["failed"] >= 1)
        collector.behave(Behaviour())
        until(lambda: outcomes["taken"] >= 1)
        assert time.monotonic() - began > 1.0


def test_a_request_that_is_refused_is_counted_and_the_next_one_comes() -> None:
    with FakeCollector() as collector, pushing(collector.url) as (pushes, outcomes):
        collector.behave(Behaviour(status=400))
        pushes.change(INTERVAL)
        until(lambda: outcomes["refused"] >= 2)


def test_who_cannot_look_pushes_nothing_and_tries_again() -> None:
    outcomes: Counter[str] = Counter()

    def look() -> object:
        raise RuntimeError("broken")

    with FakeCollector() as collector:
        told = Pushing(
            settings(endpoint=collector.url),
            look,  # type: ignore[arg-type]
            lambda outcome: outcomes.update([outcome]),
            {},
        )
        told.change(INTERVAL)
        until(lambda: outcomes["failed"] >= 2)
        told.change(0.0)
        assert collector.requests == 0
