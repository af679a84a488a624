from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from log_forwarder.event import Batch, Event
from log_forwarder.latency import BUCKETS, Latency
from tests.log_forwarder.making import START, Owner, container


def ago(seconds: float) -> str:
    """Return a time as Docker writes it, with nine digits."""
    moment = datetime.fromtimestamp(time.time() - seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}789Z"


def batch(*times: str) -> Batch:
    return Batch(container(), [Event("x", "stdout", each) for each in times], 1, START, Owner())


def counted(latency: Latency) -> dict[str, float]:
    return dict(latency.buckets()[0])


@pytest.mark.parametrize(
    ("seconds", "below"), [(0.0, "0.1"), (0.7, "1.0"), (20.0, "30.0"), (3600.0, "7200.0"), (1e6, "+Inf")]
)
def test_lines_are_counted_by_their_age(seconds: float, below: str, monkeypatch: pytest.MonkeyPatch) -> None:
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment)  # it is as old as that, however slow the machine is
    latency = Latency()
    latency.observe(batch(ago(seconds), ago(seconds)))
    buckets, total = latency.buckets()
    bounds = [bound for bound, _ in buckets]
    assert bounds == [*map(str, BUCKETS), "+Inf"]
    at = bounds.index(below)
    assert [count for _, count in buckets] == [0.0] * at + [2.0] * (len(bounds) - at)
    assert total == pytest.approx(2 * seconds, abs=1.0)


def test_a_batch_counts_at_the_mean_of_its_ends() -> None:
    latency = Latency()
    latency.observe(batch(ago(40), ago(1000), ago(0)))
    assert counted(latency)["10.0"] == 0
    assert counted(latency)["30.0"] == 3


def test_a_clock_that_is_behind_makes_no_negative_latency() -> None:
    latency = Latency()
    latency.observe(batch(ago(-100)))
    assert counted(latency)["0.1"] == 1
    assert latency.buckets()[1] == 0


@pytest.mark.parametrize("damaged", ["", "yesterday", "0001-01-01", "2026-13-01T00:00:00Z", "9" * 30])
def test_a_time_that_is_none_is_left_out(damaged: str) -> None:
    latency = Latency()
    latency.observe(batch(damaged))
    latency.observe(batch())
    assert counted(latency)["+Inf"] == 0
