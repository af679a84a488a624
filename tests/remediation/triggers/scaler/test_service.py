from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.typed import from_json
from remediation.triggers.scaler.behaviour import Behaviour, Direction, RateLimit
from remediation.triggers.scaler.desired import Replica
from remediation.triggers.scaler.rules import Aim, ScaleRule
from remediation.triggers.scaler.service import PATIENCE_SECONDS, Observed, ServiceState, decide
from tests.remediation.triggers.told import words

RULE = ScaleRule("shop", "web", "cpu", Aim(50.0, percent=True), 1, 5)
QUERY = replace(RULE, metric="sum(x)", aim=Aim(100.0))


def seen(*values: float | None, count: int = 0, value: float | None = None) -> Observed:
    replicas = [Replica(each) for each in values]
    return Observed(count or len(replicas), replicas, value)


def test_a_decision_is_absolute_and_told_once_until_it_is_carried_out() -> None:
    state = ServiceState()
    (signal,) = decide(RULE, state, seen(150), 0.0)
    assert signal.labels == {
        "alertname": "ServiceScale",
        "compose_project": "shop",
        "compose_service": "web",
        "replicas": "3",
    }
    assert signal.annotations["summary"] == "service shop/web is to have 3 replicas, not 1"
    assert decide(RULE, state, seen(150), 1.0) == []
    assert decide(RULE, state, seen(150, 10, count=2), 2.0) == []
    (ended,) = decide(RULE, state, seen(50, 50, 50), 3.0)
    assert (ended.firing, ended.fingerprint, ended.starts_at) == (False, signal.fingerprint, 0.0)


def test_a_decision_that_is_not_carried_out_is_given_up_and_made_anew() -> None:
    state = ServiceState()
    decide(RULE, state, seen(150), 0.0)
    assert decide(RULE, state, seen(150), PATIENCE_SECONDS - 1) == []
    told = decide(RULE, state, seen(150), PATIENCE_SECONDS)
    assert words(told) == ["-ServiceScale", "+ServiceScale"]
    assert told[1].labels["replicas"] == "3"
    assert told[1].starts_at == PATIENCE_SECONDS


def test_fewer_come_only_after_the_window() -> None:
    state = ServiceState()
    assert decide(RULE, state, seen(50, 50, 50), 0.0) == []
    assert decide(RULE, state, seen(5, 5, 5), 1.0) == []
    assert decide(RULE, state, seen(5, 5, 5), 299.0) == []
    (signal,) = decide(RULE, state, seen(5, 5, 5), 301.0)
    assert signal.labels["replicas"] == "1"


def test_bounds_are_kept_and_restored_without_any_measurement() -> None:
    state = ServiceState()
    (signal,) = decide(RULE, state, seen(500, 500), 0.0)
    assert signal.labels["replicas"] == "5"
    assert "its cpu asks for 20" in signal.annotations["summary"]
    for count, bounds, expected in ((7, RULE, "5"), (1, replace(RULE, least=2), "2")):
        (signal,) = decide(bounds, ServiceState(), seen(*[None] * count), 0.0)
        assert signal.labels["replicas"] == expected


@pytest.mark.parametrize(
    "observed",
    [seen(None, None), seen(count=2), Observed(2, [Replica(500.0, ready=False)] * 2), seen()],
)
def test_nothing_measured_and_nothing_running_change_nothing(observed: Observed) -> None:
    assert decide(RULE, ServiceState(), observed, 0.0) == []


@pytest.mark.parametrize(("value", "expected"), [(None, []), (100.0, []), (290.0, ["3"]), (1e9, ["5"])])
def test_a_query_gives_one_value_for_the_service(value: float | None, expected: list[str]) -> None:
    told = decide(QUERY, ServiceState(), seen(None, value=value), 0.0)
    assert [each.labels["replicas"] for each in told] == expected


def test_replicas_that_are_on_their_way_do_not_ask_for_more() -> None:
    state, quick = (
        ServiceState(),
        replace(RULE, behaviour=Behaviour(down=Direction(0.0, RULE.behaviour.down.limits))),
    )
    decide(quick, state, seen(100), 0.0)
    for now in range(1, 20):
        assert decide(quick, state, seen(100), float(now)) == []
    assert {each.count for each in state.history.highs} == {2}


def test_a_restart_between_decision_and_deed_forgets_nothing() -> None:
    state = ServiceState()
    decide(RULE, state, seen(150), 0.0)
    state = from_json(msgspec.json.encode(state), ServiceState)
    assert decide(RULE, state, seen(150), 1.0) == []
    assert words(decide(RULE, state, seen(50, 50, 50), 2.0)) == ["-ServiceScale"]


@given(
    st.lists(
        st.tuples(st.lists(st.none() | st.floats(0, 500), max_size=8), st.integers(0, 3), st.booleans()),
        max_size=40,
    )
)
def test_no_decision_ever_leaves_the_bounds_and_there_is_one_at_a_time(
    course: list[tuple[list[float | None], int, bool]],
) -> None:
    state, now, open_decisions = ServiceState(), 0.0, 0
    for values, stopped, long in course:
        now += 100.0 if long else 5.0
        for signal in decide(RULE, state, seen(*values, count=len(values) + stopped), now):
            open_decisions += 1 if signal.firing else -1
            assert 1 <= int(signal.labels["replicas"]) <= 5
        assert open_decisions in (0, 1)
        assert (state.told is not None) == (open_decisions == 1)


def simulated(load: list[float], every: float = 5.0) -> list[int]:
    """Scale a service whose replicas share ``load`` (in percent of one core); each decision takes 10 s."""
    state, count, pending, counts = ServiceState(), 1, None, []
    for n, total in enumerate(load):
        now = n * every
        if pending and now >= pending[0]:
            count, pending = pending[1], None
        for signal in decide(RULE, state, seen(*[total / count] * count), now):
            if signal.firing:
                pending = (now + 10.0, int(signal.labels["replicas"]))
        counts.append(count)
    return counts


def changes(counts: list[int]) -> int:
    return sum(before != after for before, after in pairwise(counts))


def test_a_step_is_followed_up_at_once_and_down_after_the_window_in_few_changes() -> None:
    counts = simulated([40.0] * 24 + [190.0] * 60 + [40.0] * 120)
    assert counts[20] == 1
    assert counts[30] == 4
    assert counts[24 + 60 + 50] == 4  # within 300 s of the last recommendation
    assert counts[-1] == 1
    assert changes(counts) == 2


def test_noise_around_the_target_changes_nothing() -> None:
    dice = random.Random(1)  # noqa: S311 - repeatable
    assert changes(simulated([47.0 + dice.uniform(-3, 3) for _ in range(400)])) == 0


def test_a_sine_is_held_up_and_not_chased() -> None:
    counts = simulated([120 + 100 * math.sin(n / 8) for n in range(720)])  # a period of 251 s
    assert max(counts) == 4
    assert changes(counts) <= 3


def test_a_rate_spreads_a_large_step() -> None:
    slow = replace(RULE, most=20, behaviour=Behaviour(up=Direction(0.0, (RateLimit(2, 60.0),))))
    state, told = ServiceState(), []
    count = 1
    for second in range(0, 240, 5):
        signals = decide(slow, state, seen(*[1000 / count] * count), float(second))
        told += [(second, count := int(each.labels["replicas"])) for each in signals if each.firing]
    assert told == [(0, 3), (60, 5), (120, 7), (180, 9)]
