from __future__ import annotations

import pytest

from fleet.manager.configs.gate import (
    ILL_SECONDS,
    WELL_SECONDS,
    Outcome,
    Seen,
    Verdict,
    batch_size,
    has_settled,
    judge,
    of_batch,
)
from fleet.manager.configs.model import Status
from fleet.manager.model import State

ON, LATE, OFF = State.ONLINE, State.LATE, State.OFFLINE
APPLIED, APPLYING, FAILED, UNSET = Status.APPLIED, Status.APPLYING, Status.FAILED, Status.UNSET
WATCH, PASS, STOP = Outcome.WATCH, Outcome.PASS, Outcome.STOP


@pytest.mark.parametrize(
    ("seen", "over", "late", "outcome"),
    [
        (Seen(ON, APPLIED), False, False, WATCH),
        (Seen(ON, APPLIED), True, False, PASS),
        (Seen(ON, APPLIED), True, True, PASS),
        (Seen(ON, FAILED, "why"), False, False, STOP),
        (Seen(ON, UNSET), False, False, WATCH),
        (Seen(ON, APPLYING), False, True, STOP),
        (Seen(ON, UNSET), False, True, STOP),
        (Seen(ON, UNSET, reports=False), True, True, PASS),
        (Seen(ON, APPLIED, ill_for=ILL_SECONDS), False, False, STOP),
        (Seen(ON, APPLYING, ill_for=ILL_SECONDS), False, False, STOP),
        (Seen(ON, APPLIED, ill_for=ILL_SECONDS - 1), False, False, WATCH),
        (Seen(ON, APPLIED, ill_for=ILL_SECONDS - 1), True, True, WATCH),  # it becomes well, or stays ill
        (Seen(LATE, APPLIED, ill_for=3600), False, False, WATCH),  # what it said last may be over
        (Seen(ON, APPLIED, well_for=WELL_SECONDS - 1), True, True, WATCH),  # it may come and go
        (Seen(ON, APPLIED, well_for=WELL_SECONDS), True, True, PASS),
        (Seen(OFF, APPLIED), False, False, STOP),
        (Seen(OFF, UNSET, reports=False), False, False, STOP),
        (Seen(State.DISABLED, APPLIED), False, False, STOP),
        (Seen(LATE, APPLIED), False, False, WATCH),
        (Seen(LATE, APPLIED), True, False, WATCH),  # it comes back, or turns offline
    ],
)
def test_an_agent_is_judged(seen: Seen, over: bool, late: bool, outcome: Outcome) -> None:
    assert judge(seen, over=over, late=late).outcome is outcome


def test_a_stop_says_why() -> None:
    assert judge(Seen(ON, FAILED, "line 1"), over=False, late=False).reason == "it could not take it: line 1"
    bad = judge(Seen(ON, APPLIED, ill_for=60, problem="exporter: no"), over=False, late=False)
    assert bad.reason == "its health is bad: exporter: no"
    assert judge(Seen(OFF, APPLIED), over=False, late=False).reason == "it is offline"


@pytest.mark.parametrize(
    ("outcomes", "whole"),
    [([], PASS), ([PASS, PASS], PASS), ([PASS, WATCH], WATCH), ([PASS, WATCH, STOP], STOP)],
)
def test_one_stops_a_batch_and_all_pass_it(outcomes: list[Outcome], whole: Outcome) -> None:
    assert of_batch(map(Verdict, outcomes)) is whole


def test_the_time_of_the_gate_begins_when_all_have_applied_it() -> None:
    assert has_settled([Seen(ON, APPLIED), Seen(ON, UNSET, reports=False)])
    assert not has_settled([Seen(ON, APPLIED), Seen(ON, APPLYING)])


@pytest.mark.parametrize(
    ("text", "agents", "size"),
    [("25", 500, 25), ("10%", 500, 50), ("10%", 3, 1), ("100%", 7, 7), ("1%", 0, 1), ("40", 3, 40)],
)
def test_the_size_of_a_batch(text: str, agents: int, size: int) -> None:
    assert batch_size(text, agents) == size


@pytest.mark.parametrize("text", ["", "0", "0%", "101%", "-1", "1.5", "ten", "%", "1e3", "99999999"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        batch_size(text, 10)
