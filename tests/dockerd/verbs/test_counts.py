from __future__ import annotations

from typing import Any

import pytest

from compose_agent.dockerd.verbs.contract import Refused
from compose_agent.dockerd.verbs.counts import MOST_REPLICAS, wanted_count


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({}, "'to' is to be a number of replicas from 1 to 500, not None"),
        ({"to": 0}, "'to' is to be a number"),
        ({"to": -1}, "'to' is to be a number"),
        ({"to": MOST_REPLICAS + 1}, "'to' is to be a number"),
        ({"to": "3"}, "not '3'"),
        ({"to": True}, "not True"),
        ({"to": 2.0}, r"not 2\.0"),
        ({"to": 3, "max": 2}, "3 replicas are not within the bounds of 1 to 2"),
        ({"to": 1, "min": 2}, "1 replicas are not within the bounds of 2 to 500"),
        ({"to": 3, "max": None}, "'max' is to be a number"),
        ({"to": 3, "step": 1}, "'step' is no argument of this verb, which has to, min, max, through"),
    ],
)
def test_what_is_no_number_of_replicas_is_refused(arguments: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        wanted_count(arguments, others=["through"])


@pytest.mark.parametrize(
    ("arguments", "to"),
    [({"to": 1}, 1), ({"to": 3, "min": 3, "max": 3}, 3), ({"to": 2, "through": "cli"}, 2)],
)
def test_a_number_within_the_bounds_is_taken(arguments: dict[str, Any], to: int) -> None:
    assert wanted_count(arguments, others=["through"]) == to
