from __future__ import annotations

from collections import Counter

from fleet.manager.herd import Herd


def test_a_herd_is_spread_over_the_seconds_that_it_takes() -> None:
    herd = Herd(rate=100, clock=lambda: 50.0)
    turns = Counter(herd.wait() for _ in range(400))
    assert turns[0] == 100
    assert all(99 <= turns[second] <= 101 for second in (1, 2, 3))


def test_the_turns_of_a_herd_that_has_passed_are_forgotten() -> None:
    now = [50.0]
    herd = Herd(rate=10, clock=lambda: now[0])
    for _ in range(30):
        herd.wait()
    now[0] += 60.0
    assert [herd.wait() for _ in range(11)] == [0] * 10 + [1]
