from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import cast

from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from compose_agent.tracing.provider import Provider
from compose_agent.tracing.recorder import SpoolRecorder
from compose_agent.tracing.records import Span
from compose_agent.tracing.spool import Spool


class SlowSpool:
    """Writes down what it is given, a moment after it was."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.said: list[str] = []
        self.writes = 0

    def append(self, spans: Sequence[Span], begun: Sequence[Span] = ()) -> bool:
        self.asked.set()
        self.writes += 1
        time.sleep(0.2)
        self.said += [f"{each.name} is under way" for each in begun] + [
            f"{each.name} is over" for each in spans
        ]
        return True


def made(spool: SlowSpool) -> tuple[SpoolRecorder, Provider]:
    recorder = SpoolRecorder(cast("Spool", spool))
    provider = Provider()
    provider.on(recorder, ALWAYS_ON, SpanLimits())
    return recorder, provider


def test_who_is_told_to_be_under_way_is_not_over_before_that() -> None:
    spool = SlowSpool()
    recorder, provider = made(spool)
    span = provider.get_tracer("x").start_span("one")
    leaving = threading.Thread(target=recorder.keep)
    leaving.start()
    spool.asked.wait()
    span.end()
    leaving.join()
    assert spool.said == ["one is under way", "one is over"]


def test_what_comes_together_is_written_together() -> None:
    spool = SlowSpool()
    recorder, provider = made(spool)
    tracer = provider.get_tracer("x")
    with tracer.start_as_current_span("root"), tracer.start_as_current_span("middle"):
        for name in ("first", "second"):
            with tracer.start_as_current_span(name):
                pass
        assert spool.said == []
        recorder.keep()
        told = ["root is under way", "middle is under way", "first is over", "second is over"]
        assert spool.said == told
        recorder.keep()
        assert spool.said == told
    assert spool.said == [*told, "middle is over", "root is over"]
    assert spool.writes == 2


def test_a_span_that_outlives_its_parent_waits_for_nobody() -> None:
    spool = SlowSpool()
    _, provider = made(spool)
    tracer = provider.get_tracer("x")
    with tracer.start_as_current_span("parent"):
        child = tracer.start_span("child")
    assert spool.said == ["child is under way", "parent is over"]
    child.end()
    assert spool.said[2:] == ["child is over"]


def test_many_below_one_that_goes_on_do_not_wait_for_its_end() -> None:
    spool = SlowSpool()
    _, provider = made(spool)
    tracer = provider.get_tracer("x")
    with tracer.start_as_current_span("parent"):
        for _ in range(100):
            tracer.start_span("child").end()
        assert spool.said.count("child is over") == 100
