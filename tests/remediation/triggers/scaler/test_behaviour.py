from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import pytest

from compose_agent.typed import from_json
from remediation.triggers.scaler.behaviour import (
    DEFAULT,
    Behaviour,
    Direction,
    History,
    RateLimit,
    Select,
    limited,
    note_change,
    stabilized,
)
from tests.remediation.triggers.scaler.reference import Autoscaler

PODS_2 = RateLimit(2, 60.0)
HALF = RateLimit(50, 60.0, percent=True)
BEHAVIOURS = {
    "default": DEFAULT,
    "slow up": Behaviour(up=Direction(60.0, (RateLimit(1, 30.0),)), down=DEFAULT.down),
    "slow down": Behaviour(up=DEFAULT.up, down=Direction(120.0, (RateLimit(1, 60.0),))),
    "the smaller": Behaviour(
        up=Direction(0.0, (PODS_2, HALF), Select.MIN), down=Direction(30.0, (PODS_2, HALF), Select.MIN)
    ),
    "only up": Behaviour(up=Direction(0.0, (HALF,)), down=Direction(0.0, (HALF,), Select.DISABLED)),
}


def test_a_window_up_waits_for_all_and_a_window_down_too() -> None:
    history, slow = History(), Behaviour(up=Direction(30.0, ()), down=Direction(60.0, ()))
    assert stabilized(history, 2, 5, slow, 0.0) == 5
    assert stabilized(history, 2, 2, slow, 10.0) == 2
    assert stabilized(history, 2, 6, slow, 20.0) == 2
    assert stabilized(history, 2, 6, slow, 40.0) == 6  # the 2 of 30 s before is out of the window
    assert stabilized(history, 6, 1, slow, 50.0) == 6
    assert stabilized(history, 6, 1, slow, 79.0) == 6
    assert stabilized(history, 6, 1, slow, 99.0) == 6
    assert stabilized(history, 6, 1, slow, 100.0) == 1


@pytest.mark.parametrize(
    ("way", "current", "wanted", "expected"),
    [
        (Direction(0.0, (PODS_2,)), 4, 20, 6),
        (Direction(0.0, (HALF,)), 4, 20, 6),
        (Direction(0.0, (HALF,)), 1, 20, 2),
        (Direction(0.0, (HALF,)), 3, 20, 5),
        (Direction(0.0, (PODS_2, HALF)), 10, 20, 15),
        (Direction(0.0, (PODS_2, HALF), Select.MIN), 10, 20, 12),
        (Direction(0.0, (PODS_2,), Select.DISABLED), 4, 20, 4),
        (Direction(0.0, ()), 4, 20, 4),
        (Direction(0.0, (PODS_2,)), 10, 1, 8),
        (Direction(0.0, (HALF,)), 10, 1, 5),
        (Direction(0.0, (HALF,)), 5, 1, 2),
        (Direction(0.0, (PODS_2, HALF)), 10, 1, 5),
        (Direction(0.0, (PODS_2, HALF), Select.MIN), 10, 1, 8),
        (Direction(0.0, (PODS_2,), Select.DISABLED), 4, 1, 4),
    ],
)
def test_rates_bound_a_change(way: Direction, current: int, wanted: int, expected: int) -> None:
    assert limited(History(), current, wanted, Behaviour(way, way), 0.0) == expected


def test_a_rate_counts_what_was_changed_in_its_period() -> None:
    history, way = History(), Behaviour(Direction(0.0, (PODS_2,)), Direction(0.0, (PODS_2,)))
    note_change(history, 4, 6, way, 0.0)
    assert limited(history, 6, 9, way, 59.0) == 6
    assert limited(history, 6, 9, way, 60.0) == 8
    note_change(history, 6, 4, way, 70.0)
    assert limited(history, 4, 1, way, 80.0) == 4
    assert limited(history, 4, 9, way, 80.0) == 8  # 6 there were a minute before


def noisy(_: float, dice: random.Random) -> float:
    return 4 + dice.gauss(0, 1.2)


def step(at: float, _: random.Random) -> float:
    return 1.5 if at < 300 or at > 900 else 9


def sine(at: float, _: random.Random) -> float:
    return 5 + 4 * math.sin(at / 120)


def spikes(_: float, dice: random.Random) -> float:
    return 20 if dice.random() < 0.02 else 2


def ramp(at: float, _: random.Random) -> float:
    return at / 100


@pytest.mark.parametrize("load", [noisy, step, sine, spikes, ramp])
@pytest.mark.parametrize("name", BEHAVIOURS)
def test_replayed_over_loads_it_changes_what_kubernetes_would_at_the_same_moments(
    load: Callable[[float, random.Random], float], name: str
) -> None:
    behaviour, dice = BEHAVIOURS[name], random.Random(name)  # noqa: S311 - repeatable
    reference, history = Autoscaler(behaviour, 1, 12), History()
    ours = theirs = 2
    for second in range(0, 1800, 5):
        now = 1e9 + second
        desired = max(0, math.ceil(load(second, dice)))
        theirs = reference.decide(theirs, desired, now)
        steady = stabilized(history, ours, min(max(desired, 1), 12), behaviour, now)
        wanted = min(max(limited(history, ours, steady, behaviour, now), 1), 12)
        note_change(history, ours, wanted, behaviour, now)
        ours = wanted
        assert ours == theirs, f"after {second} s"
        if second % 300 == 0:  # a restart forgets nothing
            history = from_json(msgspec.json.encode(history), History)


def test_what_is_remembered_stays_small() -> None:
    history, dice = History(), random.Random(3)  # noqa: S311 - repeatable
    for second in range(3600):
        stabilized(history, 5, dice.randint(1, 10), DEFAULT, float(second))
        note_change(history, 5, dice.randint(4, 6), DEFAULT, float(second))
    assert len(history.highs) <= 10
    assert len(history.lows) <= 10
    assert len(history.ups) + len(history.downs) <= 16
