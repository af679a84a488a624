from __future__ import annotations

import pytest

from bench.remediation_plan import How, make_plan
from bench.restarts import Expectation

SEEDS = range(60)


def test_a_seed_is_a_plan() -> None:
    assert make_plan(7) == make_plan(7)
    assert len({repr(make_plan(seed)) for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_may_come_late_comes_last(seed: int) -> None:
    for patient in make_plan(seed).patients:
        assert all(each.expects is Expectation.ONE for each in patient.illnesses[:-1])


@pytest.mark.parametrize("seed", SEEDS)
def test_who_has_not_opted_in_is_to_be_left_alone(seed: int) -> None:
    for patient in make_plan(seed).patients:
        left_alone = {each.expects for each in patient.illnesses} == {Expectation.NONE}
        assert left_alone is not patient.opted_in or not patient.illnesses


def test_together_the_plans_have_everything() -> None:
    plans = [make_plan(seed) for seed in SEEDS]
    illnesses = [each for plan in plans for patient in plan.patients for each in patient.illnesses]

    assert {each.how for each in illnesses} == set(How)
    assert {each.expects for each in illnesses} == set(Expectation)
    assert {plan.mischief.peers for plan in plans} == {1, 2}
    assert {trouble.kind for plan in plans for trouble in plan.troubles} >= {"reset", "slow", "error"}
    assert {doom.prefix for plan in plans for doom in plan.dooms} == {"", "actor."}
    assert any(patient.deaf for plan in plans for patient in plan.patients)
    assert not any(make_plan(seed, troubles=False).troubles for seed in SEEDS)
