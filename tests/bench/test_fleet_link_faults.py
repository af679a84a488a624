"""Samples of the campaign, and its arithmetic."""

from __future__ import annotations

import pytest

from bench.fleet_link_faults import Recovery, all_well, campaign, figures
from bench.fleet_link_plan import Kind, faults, shared


def test_the_plan_follows_from_its_seed() -> None:
    assert faults(50, 3) == faults(50, 3) != faults(50, 4)
    assert {one.kind for one in faults(200, 1)} == set(Kind)


def test_cells_share_the_plan_so_that_all_take_about_as_long() -> None:
    plan = faults(200, 1)
    shares = shared(plan, 12)
    assert sorted((one for share in shares for one in share), key=lambda one: one.number) == plan
    times = [sum(one.seconds + one.calm for one in share) for share in shares]
    assert max(times) < 1.2 * min(times)


def _recovery(number: int, seconds: float | None, kind: Kind = Kind.DROP) -> Recovery:
    return Recovery(number, kind, 1.0, seconds, "websocket", same_agent=True)


def test_who_is_not_back_is_named() -> None:
    found = figures([_recovery(0, 1.0), _recovery(1, None, Kind.KILL), _recovery(2, 3.0)])
    assert (found["faults"], found["back"]) == (3, 2)
    assert [one["number"] for one in found["lost"]] == [1]
    assert found["back_after_seconds"] == {"p50": 2.0, "p99": 3.0, "max": 3.0}
    assert not all_well(found)


def test_the_99th_of_a_hundred_decides() -> None:
    assert all_well(figures([_recovery(number, 20.0 if number == 7 else 1.0) for number in range(100)]))
    assert not all_well(figures([_recovery(number, 20.0 if number < 2 else 1.0) for number in range(100)]))


@pytest.mark.engine
def test_real_links_are_back_after_a_dead_connection_and_a_dead_manager() -> None:
    found = campaign(2, 11, 2, (Kind.FORGOTTEN, Kind.KILL))
    assert (found["back"], found["agents_restarted"], found["lost"]) == (2, 0, [])
