from __future__ import annotations

import pytest

from log_forwarder.event import Event
from log_forwarder.transforms.rate_limit import BURST_SECONDS
from tests.log_forwarder.transforms.building import Counted, event, events, pipeline


def texts(found: list[Event]) -> list[str]:
    return [each.log for each in found]


def test_only_lines_with_a_match_are_included() -> None:
    counted = Counted()
    found = pipeline(counted, include_lines="order|cart").apply(events(["order 1", "health", "my cart"]))
    assert texts(found) == ["order 1", "my cart"]
    assert counted.dropped == {"excluded": 1}


def test_lines_with_a_match_are_excluded_also_among_the_included() -> None:
    counted = Counted()
    found = pipeline(counted, include_lines="GET", exclude_lines="/healthz").apply(
        events(["GET /", "GET /healthz", "POST /"])
    )
    assert texts(found) == ["GET /"]
    assert counted.dropped == {"excluded": 2}


def test_a_filter_sees_redacted_lines() -> None:
    found = pipeline(exclude_lines="@", redact="email").apply(events(["a@b.example"]))
    assert texts(found) == ["[REDACTED:email]"]


@pytest.mark.parametrize(("share", "expected"), [("1/10", 0.1), ("0.5", 0.5), ("0.01", 0.01), ("0", 0)])
def test_a_share_of_the_lines_is_kept(share: str, expected: float) -> None:
    counted = Counted()
    found = pipeline(counted, sample=share).apply(events(["x"] * 20_000))
    assert len(found) / 20_000 == pytest.approx(expected, abs=0.01)
    assert counted.dropped["sampled"] == 20_000 - len(found)


def test_a_line_that_is_read_again_decides_the_same() -> None:
    first = {each.id for each in pipeline(sample="0.3").apply(events(["x"] * 1000))}
    again = {each.id for each in pipeline(sample="0.3").apply(events(["x"] * 500, first=500))}
    assert again == {each.id for each in events(["x"] * 500, first=500)} & first


def test_errors_are_always_kept_where_levels_are_known() -> None:
    lines = ["ERROR a", "INFO b", "FATAL c"]
    assert texts(pipeline(sample="0", level="auto").apply(events(lines))) == ["ERROR a", "FATAL c"]
    assert pipeline(sample="0").apply(events(lines)) == []


def test_the_whole_share_needs_no_transform() -> None:
    assert pipeline(sample="1").empty


def test_a_burst_passes_and_then_the_rate() -> None:
    counted = Counted()
    limit = pipeline(counted, rate_limit="10/s")
    burst = limit.apply([event("x", number, at=1.0) for number in range(100)])
    assert len(burst) == 10 * BURST_SECONDS
    later = limit.apply([event("x", number, at=1.0 + number / 100) for number in range(1, 101)])
    assert len(later) == 10
    assert counted.dropped == {"rate_limited": 100 - len(burst) + 90}


def test_a_backlog_passes_as_it_was_written() -> None:
    spread = [event("x", number, at=number / 5) for number in range(1000)]
    assert len(pipeline(rate_limit="5/s").apply(spread)) == 1000


def test_a_clock_that_is_set_back_does_not_stop_the_lines() -> None:
    limit = pipeline(rate_limit="10/s")
    limit.apply([event("x", number, at=3600.0) for number in range(100)])
    later = [event("x", number, at=10 + number / 10) for number in range(50)]
    assert len(limit.apply(later)) >= 48


@pytest.mark.parametrize(("rate", "each"), [("60/m", 1.0), ("3600/h", 1.0)])
def test_rates_may_be_given_by_minute_and_hour(rate: str, each: float) -> None:
    limit = pipeline(rate_limit=rate)
    assert len(limit.apply([event("x", number, at=0.0) for number in range(9)])) == each * BURST_SECONDS
