from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remediation.replicas import replicas_wanted, scale_bounds

OWN = {"min": 1, "max": 3}


def labels(least: object = None, most: object = None) -> dict[str, str]:
    given = {"compose-agent.scale.min": least, "compose-agent.scale.max": most}
    return {key: str(value) for key, value in given.items() if value is not None}


@pytest.mark.parametrize(
    ("own", "arguments", "bounds"),
    [
        (labels(), OWN, (1, 3)),
        (labels(2, 6), OWN, (2, 6)),
        (labels(most=2), OWN, (1, 2)),
        (labels(5), OWN, (5, 5)),  # the policy's most gives way
        (labels(most=2), {"min": 4, "max": 8}, (2, 2)),
    ],
)
def test_labels_stand_above_the_policy(
    own: dict[str, str], arguments: dict[str, Any], bounds: tuple[int, int]
) -> None:
    assert scale_bounds(own, arguments) == bounds


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (labels("two"), "label compose-agent.scale.min: expected a whole number from 1 to 500, not 'two'"),
        (labels(4, 2), "label compose-agent.scale.min 4 is more than compose-agent.scale.max 2"),
    ],
)
def test_labels_that_cannot_be_used_are_explained(own: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        replicas_wanted(1, own, {**OWN, "by": 1})


@pytest.mark.parametrize(
    ("now", "asked", "wanted"),
    [
        (1, {"by": 1}, 2),
        (3, {"by": 1}, 3),
        (1, {"by": 5}, 3),
        (5, {"by": 1}, 5),
        (3, {"by": -1}, 2),
        (1, {"by": -1}, 1),
        (0, {"by": -1}, 0),
        (0, {"by": 1}, 1),
        (5, {"by": -1}, 4),
        (1, {"to": 3}, 3),
        (5, {"to": 2}, 2),
        (3, {"to": "min"}, 1),
        (1, {"to": "max"}, 3),
        (0, {"to": "min"}, 1),
    ],
)
def test_a_number_is_wanted(now: int, asked: dict[str, Any], wanted: int) -> None:
    assert replicas_wanted(now, {}, {**OWN, **asked}) == wanted


@given(st.integers(0, 20), st.integers(1, 9), st.integers(1, 9), st.integers(-9, 9).filter(bool))
def test_a_difference_never_leads_the_other_way_nor_out_of_the_bounds(
    now: int, one: int, other: int, by: int
) -> None:
    least, most = sorted((one, other))
    wanted = replicas_wanted(now, labels(least, most), {**OWN, "by": by})
    assert (wanted - now) * by >= 0
    assert wanted == now or (wanted <= most if by > 0 else wanted >= least)
