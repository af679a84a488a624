"""Sequences of what happens to a load, and what is done with it next."""

from __future__ import annotations

import pytest

from log_forwarder.couriers.trial import PATIENCE, PROOFS, Step, Trial

END, FAIL, TAKEN, NOT_TAKEN = "it ends a connection", "it fails otherwise", "another is taken", "none is"
# From the moment a line is accused until one proof more: another line is taken, it ends that connection, and
# then one of its own.
PROOF = [TAKEN, END, END]


def after(happened: list[str], *, single: bool, divided: bool = False) -> Step:
    trial = Trial(single=single, divided=divided)
    for each in happened:
        match each:
            case "it ends a connection":
                trial.ended()
            case "it fails otherwise":
                trial.failed()
            case _:
                trial.compared(taken=each == TAKEN)
    return trial.step


@pytest.mark.parametrize(
    ("happened", "step"),
    [
        ([], Step.TOGETHER),
        ([FAIL, FAIL, FAIL, FAIL], Step.TOGETHER),
        ([END], Step.ALONE),
        ([END, FAIL, FAIL, FAIL], Step.ALONE),
        ([END] * (PATIENCE - 1), Step.ALONE),
        ([END] * PATIENCE, Step.DIVIDE),
    ],
)
def test_several_lines_go_alone_and_then_in_halves(happened: list[str], step: Step) -> None:
    assert after(happened, single=False) is step


def test_a_half_goes_alone_from_the_start_and_in_halves_sooner() -> None:
    assert after([], single=False, divided=True) is Step.ALONE
    assert after([FAIL], single=False, divided=True) is Step.ALONE
    assert after([END], single=False, divided=True) is Step.DIVIDE


@pytest.mark.parametrize(
    ("happened", "step"),
    [
        ([], Step.COMPARE),
        ([TAKEN], Step.ALONE),
        ([TAKEN, END], Step.ALONE),
        (PROOF, Step.COMPARE),
        ([NOT_TAKEN], Step.ALONE),
        ([NOT_TAKEN, END], Step.COMPARE),
        (PROOF * (PROOFS - 1) + [TAKEN], Step.ALONE),
        (PROOF * (PROOFS - 1) + [TAKEN, END], Step.BURY),
    ],
)
def test_a_line_that_is_accused_is_given_up_when_others_are_taken_in_between(
    happened: list[str], step: Step
) -> None:
    assert after([END] * PATIENCE + happened, single=True) is step
    assert after([END, *happened], single=True, divided=True) is step


@pytest.mark.parametrize(
    "happened",
    [
        pytest.param([END] * 100, id="there is no other line to compare with"),
        pytest.param([NOT_TAKEN, END] * 100, id="the peer takes nothing at all"),
        pytest.param([FAIL] * 100, id="the peer hangs at it"),
        pytest.param([TAKEN, FAIL] * 100, id="the peer hangs at it, and takes others"),
        pytest.param([*PROOF, TAKEN, FAIL] * 100, id="the peer hangs at it now and then"),
        pytest.param([*PROOF, NOT_TAKEN, END] * 100, id="the peer has trouble with others now and then"),
    ],
)
def test_a_line_is_never_given_up_without_proofs_in_a_row(happened: list[str]) -> None:
    for length in range(len(happened)):
        assert after([END] * PATIENCE + happened[:length], single=True) is not Step.BURY
