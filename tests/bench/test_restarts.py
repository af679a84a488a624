from __future__ import annotations

import pytest

from bench.restarts import Case, Event, Expectation, cycles_of, judge

ONE, NONE, AT_MOST_ONE = Expectation.ONE, Expectation.NONE, Expectation.AT_MOST_ONE


def said(text: str, container: str = "a") -> list[Event]:
    """Read ``"2 die 3 start"``."""
    words = text.split()
    return [Event(container, action, float(at)) for at, action in zip(words[::2], words[1::2], strict=True)]


@pytest.mark.parametrize(
    ("events", "cycles"),
    [
        ("", []),
        ("1 start", []),
        ("1 die", []),
        ("1 die 2 start", [2.0]),
        ("2 start 1 die", [2.0]),
        ("1 die 2 start 3 start", [2.0]),
        ("1 stop 2 stop 3 die 4 start 5 restart 6 restart", [4.0]),
        ("1 die 2 die 3 start", [3.0]),
        ("1 die 2 start 3 die 4 start", [2.0, 4.0]),
    ],
)
def test_a_cycle_is_a_start_after_a_die(events: str, cycles: list[float]) -> None:
    assert cycles_of(said(events)).get("a", []) == cycles


def test_containers_are_counted_apart() -> None:
    assert cycles_of(said("1 die", "a") + said("2 start", "b")) == {}


@pytest.mark.parametrize(
    ("expects", "acknowledged", "events", "wrong"),
    [
        (ONE, True, "11 die 12 start", {}),
        (ONE, True, "", {"lost": 1}),
        (ONE, False, "", {}),
        (ONE, True, "11 die 12 start 13 die 14 start", {"doubled": 1}),
        (ONE, False, "11 die 12 start 13 die 14 start 15 die 16 start", {"doubled": 2}),
        (ONE, True, "1 die 2 start 11 die 12 start", {"unasked": 1}),
        (ONE, True, "1 die 12 start", {}),
        (NONE, True, "", {}),
        (NONE, True, "11 die 12 start", {"unasked": 1}),
        (AT_MOST_ONE, True, "", {}),
        (AT_MOST_ONE, True, "11 die 12 start", {}),
        (AT_MOST_ONE, True, "11 die 12 start 13 die 14 start", {"doubled": 1}),
    ],
)
def test_a_case_is_judged(
    expects: Expectation, acknowledged: bool, events: str, wrong: dict[str, int]
) -> None:
    verdict = judge([Case("a", 10.0, expects, acknowledged)], said(events))

    found = {"lost": verdict.lost, "doubled": verdict.doubled, "unasked": verdict.unasked}
    assert {what: count for what, count in found.items() if count} == wrong
    assert verdict.good is (not wrong)
    assert bool(verdict.examples) is bool(wrong)


def test_a_cycle_belongs_to_the_case_that_had_begun() -> None:
    cases = [Case("a", 20.0, ONE, acknowledged=True), Case("a", 10.0, ONE, acknowledged=True)]
    late = judge(cases, said("21 die 22 start 23 die 24 start"))
    right = judge(cases, said("11 die 12 start 23 die 24 start"))

    assert (late.lost, late.doubled) == (1, 1)
    assert right.good
    assert (right.cases, right.acknowledged, right.cycles) == (2, 2, 2)


def test_a_container_without_any_case_is_left_alone() -> None:
    assert judge([], said("1 die 2 start")).unasked == 1
