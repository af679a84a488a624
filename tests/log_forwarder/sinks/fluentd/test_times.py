from __future__ import annotations

from datetime import UTC, datetime

import msgpack
import pytest
from fluent.sender import EventTime
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.sinks.fluentd.times import event_time


@pytest.mark.parametrize(
    ("text", "seconds", "nanoseconds"),
    [
        ("2026-01-02T03:04:05.678901234Z", 1_767_323_045, 678_901_234),
        ("2026-01-02T03:04:05Z", 1_767_323_045, 0),
        ("2026-01-02T03:04:05.1Z", 1_767_323_045, 100_000_000),
        ("2026-01-02T03:04:05.000000001Z", 1_767_323_045, 1),
        ("2026-01-02T04:04:05.5+01:00", 1_767_323_045, 500_000_000),
        ("1970-01-01T00:00:00Z", 0, 0),
        ("2106-02-07T06:28:15.999999999Z", 2**32 - 1, 999_999_999),
        ("2200-01-01T00:00:00Z", 2**32 - 1, 0),
        ("1969-12-31T23:59:59Z", 0, 0),
        ("", 0, 0),
        ("yesterday", 0, 0),
    ],
)
def test_a_time_is_packed_as_fluent_loggers_event_time_is(text: str, seconds: int, nanoseconds: int) -> None:
    assert event_time(text) == msgpack.packb(EventTime(seconds, nanoseconds))


@given(st.integers(0, 4 * 10**9), st.integers(0, 10**9 - 1))
def test_every_nanosecond_is_kept(seconds: int, nanoseconds: int) -> None:
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{nanoseconds:09d}Z"
    assert event_time(text) == msgpack.packb(EventTime.from_unix_nano(seconds * 10**9 + nanoseconds))
