from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.policies.model import Rate
from remediation.rates import parse_rate, rate, rate_text


@pytest.mark.parametrize(
    ("text", "expected", "printed"),
    [
        ("20/10m", Rate(20, 600.0), "20/10m"),
        ("1/500ms", Rate(1, 0.5), "1/500ms"),
        ("3 / 90s", Rate(3, 90.0), "3/1m30s"),
        ("5/1h0m1s", Rate(5, 3601.0), "5/1h1s"),
        ("1000000/1w", Rate(1_000_000, 604_800.0), "1000000/1w"),
    ],
)
def test_a_rate_is_a_number_and_a_time(text: str, expected: Rate, printed: str) -> None:
    assert parse_rate(text) == expected
    assert rate_text(expected) == printed


@given(st.integers(1, 10**6), st.integers(1, 3650 * 86_400_000))
def test_what_is_printed_is_read_again(count: int, milliseconds: int) -> None:
    one = Rate(count, milliseconds / 1000)
    found = parse_rate(rate_text(one))
    assert found.count == count
    assert found.seconds == pytest.approx(one.seconds, abs=1e-4)


@pytest.mark.parametrize(
    "text", ["", "20", "20/", "/10m", "0/10m", "20/0", "-1/10m", "1.5/10m", "20/10", "a/b/c"]
)
def test_what_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a rate such as 20/10m"):
        rate.read(text)
