from __future__ import annotations

from typing import Any

import pytest

from compose_agent.dockerd.verbs.contract import Refused
from compose_agent.dockerd.verbs.counts import MOST_REPLICAS, resolved_count, wanted_count


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


@pytest.mark.parametrize(
    ("arguments", "now", "labels", "to"),
    [
        ({"to": 3}, 1, {}, 3),
        ({"to": 9, "max": 5}, 1, {}, 5),
        ({"to": 1, "min": 2}, 4, {}, 2),
        ({"to": "max", "max": 5}, 1, {}, 5),
        ({"to": "min", "min": 2, "max": 5}, 1, {}, 2),
        ({"by": 1, "max": 3}, 1, {}, 2),
        ({"by": 1, "max": 3}, 3, {}, 3),
        ({"by": 1, "max": 3}, 7, {}, 7),
        ({"by": -1, "min": 1}, 1, {}, 1),
        ({"by": -5, "min": 2}, 4, {}, 2),
        ({"by": -1, "min": 3}, 2, {}, 2),
        ({"by": 5, "max": 3}, 1, {"compose-agent.scale.max": "4"}, 4),
        ({"to": 1, "min": 1}, 3, {"compose-agent.scale.min": "2"}, 2),
    ],
)
def test_a_number_is_held_within_labels_or_arguments(
    arguments: dict[str, Any], now: int, labels: dict[str, str], to: int
) -> None:
    assert resolved_count(arguments, now, labels) == to


@pytest.mark.parametrize(
    ("arguments", "labels"),
    [
        ({}, {}),
        ({"by": 0}, {}),
        ({"by": "1"}, {}),
        ({"to": "most"}, {}),
        ({"to": 1}, {"compose-agent.scale.max": "many"}),
        ({"to": 1, "max": 0}, {}),
    ],
)
def test_what_means_no_number_is_refused(arguments: dict[str, Any], labels: dict[str, str]) -> None:
    with pytest.raises(Refused):
        resolved_count(arguments, 1, labels)
