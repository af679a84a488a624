from __future__ import annotations

import json

import pytest

from bench.remediation_storm import (
    ALERTS_OF_EACH,
    BUDGET,
    CONTAINERS,
    GROUP,
    REFILL_SECONDS,
    over_budget,
    storm_bodies,
)
from bench.restarts import Event
from bench.storm_replicas import last_ones


@pytest.mark.parametrize(
    ("cycles", "over"),
    [
        ([], 0),
        ([0.0] * BUDGET, 0),
        ([0.0] * (BUDGET + 1), 1),
        ([0.0] * BUDGET + [REFILL_SECONDS], 0),
        ([0.0] * BUDGET + [REFILL_SECONDS * 0.9, REFILL_SECONDS * 0.9], 2),
        ([0.0] * (BUDGET + 3) + [REFILL_SECONDS * 100], 3),
    ],
)
def test_a_budget_is_judged_at_its_worst_moment(cycles: list[float], over: int) -> None:
    assert over_budget([100.0 + at for at in cycles], began=100.0) == over


def test_a_storm_has_every_alert_of_every_container() -> None:
    bodies = [json.loads(body)["alerts"] for body in storm_bodies()]
    assert {len(alerts) for alerts in bodies} == {GROUP}
    assert len({each["fingerprint"] for alerts in bodies for each in alerts}) == CONTAINERS * ALERTS_OF_EACH


@pytest.mark.parametrize(
    ("events", "taken"),
    [
        ([("s-1", "kill"), ("s-2", "kill")], ["s-2"]),
        ([("s-1", "kill"), ("s-1", "health_status: healthy"), ("s-2", "kill")], []),
        ([("s-1", "health_status: unhealthy"), ("s-1", "kill"), ("s-2", "kill")], ["s-2"]),
        ([("s-1", "die"), ("t-1", "kill")], ["t-1"]),
        ([("t-1", "die"), ("t-1", "kill")], []),  # nothing was taken that was there
    ],
)
def test_the_last_healthy_replica_is_told_from_others(
    events: list[tuple[str, str]], taken: list[str]
) -> None:
    told = [Event(name, action, float(at)) for at, (name, action) in enumerate(events)]
    assert last_ones(told, ["s-1", "s-2", "t-1"]) == taken
