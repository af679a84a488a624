from __future__ import annotations

import pytest

from log_forwarder.sinks.nanoseconds import Nanoseconds, nanoseconds

SECOND = 1_767_323_045_000_000_000


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05.123456789Z", SECOND + 123_456_789),
        ("2026-01-02T03:04:05.000000001Z", SECOND + 1),
        ("2026-01-02T03:04:05Z", SECOND),
        ("2026-01-02T03:04:05.5Z", SECOND + 500_000_000),
        ("2026-01-02 03:04:05", SECOND),
        ("2026-01-02T05:04:05.1234+02:00", SECOND + 123_400_000),
        ("1960-01-02T03:04:05.123456789Z", 0),
        ("no time", 0),
        ("no time, but of the same lengthZ", 0),
        ("xxxx-xx-xxTxx:xx:xx.123456789Z", 0),
        ("", 0),
    ],
)
def test_a_time_is_read_to_the_nanosecond(text: str, expected: int) -> None:
    times = Nanoseconds()
    assert [times.of(text), times.of(text), nanoseconds(text)] == [expected] * 3


def test_the_second_is_read_anew_when_it_changes() -> None:
    times = Nanoseconds()
    seconds = [times.of(f"2026-01-02T03:04:{each:02d}.000000007Z") - SECOND for each in (5, 6, 5)]
    assert seconds == [7, 1_000_000_007, 7]
