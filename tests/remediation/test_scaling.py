"""How many replicas arguments and labels come to."""

from __future__ import annotations

from typing import Any

import pytest

from remediation.scaling import wanted_replicas
from tests.remediation.samples import replica


@pytest.mark.parametrize(
    ("arguments", "now", "labels", "wanted"),
    [
        ({"by": 1}, 1, {}, 2),
        ({"by": 1}, 3, {}, 3),
        ({"by": -1}, 1, {}, 1),
        ({"by": -5}, 3, {}, 1),
        ({"by": 2, "min": 1, "max": 10}, 3, {}, 5),
        ({"to": 2}, 5, {}, 2),
        ({"to": "max"}, 1, {}, 3),
        ({"to": "min"}, 3, {}, 1),
        ({"to": "max", "max": 7}, 1, {}, 7),
        ({"to": "max", "max": 7}, 1, {"compose-agent.scale.max": "5"}, 5),
        ({"to": "min"}, 4, {"compose-agent.scale.min": "2"}, 2),
        ({"to": "max"}, 1, {"compose-agent.scale.max": "many"}, 3),
        ({"to": "max"}, 1, {"compose-agent.scale.max": "501"}, 3),
        ({"to": 9}, 1, {"compose-agent.scale.min": "4", "compose-agent.scale.max": "2"}, 4),
    ],
)
def test_wanted(arguments: dict[str, Any], now: int, labels: dict[str, str], wanted: int) -> None:
    replicas = [replica("shop", "web", number, labels=labels) for number in range(1, now + 1)]
    assert wanted_replicas(arguments, replicas) == wanted


def test_the_newest_replica_says_what_is_meant() -> None:
    old = replica("shop", "web", 1, created_at=1.0, labels={"compose-agent.scale.max": "2"})
    new = replica("shop", "web", 2, created_at=2.0, labels={"compose-agent.scale.max": "6"})
    assert wanted_replicas({"to": "max"}, [old, new]) == 6
