from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.triggers.scaler.desired import Replica, by_average, by_value
from tests.remediation.triggers.scaler.reference import replica_count


def ready(*values: float | None) -> list[Replica]:
    return [Replica(each) for each in values]


def starting(count: int) -> list[Replica]:
    return [Replica(90.0, ready=False)] * count


@pytest.mark.parametrize(
    ("current", "replicas", "expected"),
    [
        (3, ready(50, 50, 50), 3),
        (3, ready(100, 100, 100), 6),
        (3, ready(55, 55, 55), 3),  # just within the tolerance
        (3, ready(56, 56, 56), 4),
        (3, ready(45, 45, 45), 3),
        (3, ready(20, 20, 20), 2),
        (3, ready(0, 0, 0), 0),
        (1, ready(151), 4),
        # A replica that was not measured: idle on the way up, fully used on the way down.
        (3, ready(100, 100, None), 4),
        (3, ready(60, 60, None), 3),  # that turns the direction
        (3, ready(20, 20, None), 3),
        (4, ready(5, 5, 5, None), 3),
        (3, ready(None, None, None), None),
        (0, [], None),
        # One that does not serve yet: idle on the way up, set aside on the way down.
        (3, [*ready(100), *starting(2)], 3),
        (3, [*ready(200), *starting(2)], 4),
        (3, [*ready(10), *starting(2)], 1),
        (2, starting(2), None),
    ],
)
def test_replicas_for_an_average_of_50(current: int, replicas: list[Replica], expected: int | None) -> None:
    assert by_average(current, replicas, 50.0, missing=100.0) == expected


@pytest.mark.parametrize(
    ("current", "serving", "value", "expected"),
    [
        (2, 2, 300.0, 6),
        (2, 2, 109.0, 2),
        (2, 2, 110.0, 2),
        (2, 2, 111.0, 3),
        (4, 4, 50.0, 2),
        (4, 2, 300.0, 6),
    ],
)
def test_replicas_for_a_value_of_100(current: int, serving: int, value: float, expected: int) -> None:
    assert by_value(current, serving, value, 100.0) == expected


def test_sums_of_decimal_fractions_ask_for_no_replica_too_many() -> None:
    assert by_average(3, ready(0.2, 0.2, 0.2), 0.1, missing=0.1) == 6
    assert by_average(3, ready(0.11, 0.11, 0.11), 0.1, missing=0.1) == 3


PODS = st.lists(
    st.builds(Replica, st.none() | st.integers(0, 400), st.sampled_from([True, True, True, False])),
    max_size=12,
)


@given(current=st.integers(1, 20), pods=PODS, target=st.integers(1, 200), tolerance=st.integers(0, 30))
def test_it_agrees_with_the_source_of_kubernetes(
    current: int, pods: list[Replica], target: int, tolerance: int
) -> None:
    expected = replica_count(current, pods, Fraction(target), Fraction(tolerance, 100), Fraction(100))
    assert by_average(current, pods, target, missing=100.0, tolerance=tolerance / 100) == expected
