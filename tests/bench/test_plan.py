from __future__ import annotations

from itertools import pairwise

import pytest

from bench.plan import Scale, make_plan

WAYS = ("kill", "freeze", "mid-ack")


@pytest.mark.parametrize("seed", range(5))
def test_a_plan_has_so_many_kills_and_outages_none_over_another(seed: int) -> None:
    scale = Scale()
    plan = make_plan(seed, scale, WAYS)
    assert len(plan.kills) == scale.kills
    assert len(plan.outages) == scale.outages
    assert {outage.how for outage in plan.outages} == set(WAYS)
    assert max(outage.seconds for outage in plan.outages) == scale.longest_outage
    assert all(one.at + one.seconds < other.at for one, other in pairwise(plan.outages))
    assert all(one.at + one.pause < other.at for one, other in pairwise(plan.kills))
    assert all(0 <= kill.pause <= 1 for kill in plan.kills)
    assert plan.outages[-1].at + plan.outages[-1].seconds < plan.seconds


def test_the_same_seed_makes_the_same_plan() -> None:
    assert make_plan(7, Scale(), WAYS) == make_plan(7, Scale(), WAYS)
    assert make_plan(7, Scale(), WAYS) != make_plan(8, Scale(), WAYS)


def test_a_sink_that_cannot_be_lost_has_no_outages() -> None:
    plan = make_plan(1, Scale(), ())
    assert not plan.outages
    assert plan.seconds > Scale().least_seconds
