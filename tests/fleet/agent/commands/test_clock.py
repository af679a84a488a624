from __future__ import annotations

import random

import pytest

from fleet.agent.commands.clock import DRIFT, FRESH_SECONDS, ManagerClock


class Hands:
    """This host's clock, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_an_answer_nothing_is_known() -> None:
    clock = ManagerClock(Hands())
    assert clock.latest() is None
    assert not clock.is_fresh


@pytest.mark.parametrize("skew", [0.0, 3 * 86_400.0, -3 * 86_400.0])
@pytest.mark.parametrize("seed", range(20))
def test_the_manager_s_time_is_never_taken_for_earlier_than_it_is(skew: float, seed: int) -> None:
    chance, hands = random.Random(seed), Hands()  # noqa: S311 - for times
    clock = ManagerClock(hands)
    asked = clock.question()
    there, back = chance.uniform(0, 5), chance.uniform(0, 5)
    hands.now += there
    told = hands.now + skew  # the manager's clock when it answers
    hands.now += back
    clock.answered(asked, told)
    for _ in range(10):
        hands.now += chance.uniform(0, 30)
        latest, right = clock.latest(), hands.now + skew
        assert latest is not None
        assert right <= latest <= right + there + 400 * DRIFT


def test_a_measurement_becomes_old_and_another_manager_has_another_clock() -> None:
    hands = Hands()
    clock = ManagerClock(hands)
    clock.answered(clock.question(), 5.0)
    before = clock.is_fresh
    hands.now += FRESH_SECONDS + 1
    assert (before, clock.is_fresh) == (True, False)
    assert clock.latest() is not None
    clock.forget()
    assert clock.latest() is None


@pytest.mark.parametrize("asked", [2000.0, 1000.0 - FRESH_SECONDS - 1, float("nan")])
def test_an_answer_to_a_question_that_was_not_asked_is_left_out(asked: float) -> None:
    clock = ManagerClock(Hands())
    clock.answered(asked, 5.0)
    assert clock.latest() is None
