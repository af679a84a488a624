from __future__ import annotations

import pytest

from compose_agent.dockerd.moments import nanoseconds, parameter

SECOND = 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01T00:00:01.5Z", 1_500_000_000),
        ("1970-01-01T01:00:01.123456789+01:00", 1_123_456_789),
        ("1970-01-01T00:00:01.000000001Z", SECOND + 1),
    ],
)
def test_times_keep_their_nanoseconds(text: str, expected: int) -> None:
    assert nanoseconds(text) == expected


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [(5_000_000_007, "5.000000007"), (1_767_225_600_000_000_000, "1767225600.000000000"), (0, "0.000000000")],
)
def test_a_parameter_has_nine_digits_behind_the_point(time_ns: int, text: str) -> None:
    assert parameter(time_ns) == text
