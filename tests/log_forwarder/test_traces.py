from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.model import Container
from compose_agent.tracing import pipeline
from compose_agent.tracing.pipeline import Pipeline
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch, Event, Mark, Position
from log_forwarder.latency import Latency
from log_forwarder.traces import Deliveries, traces_of
from tests.tracing.conftest import settings

TRACE, SPAN = "1" * 32, "2" * 16
WEB = Container("f" * 64, "web", "i", "i", "running", labels={"com.docker.compose.project": "shop"})


@pytest.fixture
def traces(tmp_path: Path) -> Iterator[Pipeline]:
    made = pipeline.start("remediation", settings(sample_ratio=1.0), tmp_path, {})
    assert made
    yield made
    made.stop(1.0)


class Nobody:
    def settled(self, batch: Batch) -> None:
        """Take no notice."""


def line(**fields: object) -> Event:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return Event("text", "stdout", now, fields=fields or None)


def batch(*events: Event) -> Batch:
    return Batch(WEB, list(events), 100, Position(Mark("g", 1)), Nobody(), read_at=time.monotonic() - 0.5)


def kept(traces: Pipeline) -> list[tuple[str, dict[str, object], list[str]]]:
    found = traces._spool.batch(100)
    assert found is not None
    return [(each.name, each.attributes, [link.trace.hex() for link in each.links]) for each in found.spans]


def test_a_delivery_is_linked_to_the_traces_of_its_lines(traces: Pipeline) -> None:
    latency = Latency()
    of = Deliveries("loki", latency)
    of.observe(
        batch(
            line(trace_id=TRACE, span_id=SPAN), line(trace_id=TRACE, span_id=SPAN), line(), line(level="info")
        )
    )
    ((name, said, links),) = kept(traces)
    assert (name, links) == ("deliver loki", [TRACE])
    assert said["compose_agent.lines"] == 4
    assert said["container.label.com.docker.compose.project"] == "shop"
    (exemplar,) = [each for each in latency.exemplars() if each]
    assert exemplar.labels.keys() == {"trace_id", "span_id"}


def test_nobody_is_traced_who_does_not_trace() -> None:
    latency = Latency()
    Deliveries("loki", latency).observe(batch(line(trace_id=TRACE, span_id=SPAN)))
    assert latency.buckets()[0][-1] == ("+Inf", 1.0)
    assert not any(latency.exemplars())


@pytest.mark.parametrize(
    "fields",
    [{}, {"trace_id": TRACE}, {"trace_id": 7, "span_id": SPAN}, {"trace_id": "x" * 32, "span_id": SPAN}],
)
def test_what_is_no_trace_is_no_link(fields: dict[str, object]) -> None:
    assert traces_of([line(**fields)]) == []


def test_links_are_bounded() -> None:
    many = [line(trace_id=f"{number:032x}", span_id=SPAN) for number in range(1, 100)]
    assert len(traces_of(many)) == 32


def test_a_refused_line_is_a_span_now_and_then(traces: Pipeline, tmp_path: Path) -> None:
    letters = DeadLetters(tmp_path)
    for _ in range(3):
        letters.put(
            "es", WEB, line(trace_id=TRACE, span_id=SPAN), "mapper_parsing_exception", threading.Event()
        )
    ((name, said, links),) = kept(traces)
    assert (name, links) == ("dead letter es", [TRACE])
    assert said["compose_agent.detail"] == "mapper_parsing_exception"
