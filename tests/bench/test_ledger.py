from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.ledger import GRACE_SECONDS, Arrival, Ledger, Span, Verdict
from bench.numbered import stream_of, text_of

WEB = "a" * 12
LINES = 10


def arrival(number: int, acked: float = 1.0, *, text: str = "", name: str = "", stream: str = "") -> Arrival:
    return Arrival(
        WEB, stream or stream_of(number), text or text_of(WEB, number), name or f"id-{number}", acked
    )


def everything() -> list[Arrival]:
    return [arrival(number) for number in range(LINES)]


def judge(arrivals: Sequence[Arrival], spans: Sequence[Span] = (), *, ordered: bool = True) -> Verdict:
    ledger = Ledger({WEB: LINES}, spans, ordered=ordered)
    for each in arrivals:
        ledger.take(each)
    return ledger.verdict()


def faults(verdict: Verdict) -> dict[str, int]:
    names = (
        "lost repeated unexcused corrupted disordered strangers changed_ids shared_ids".split()  # noqa: SIM905
    )
    return {name: getattr(verdict, name) for name in names if getattr(verdict, name)}


def test_everything_once_is_good() -> None:
    verdict = judge(everything())
    assert not faults(verdict)
    assert verdict.good(exactly_once=True)
    assert verdict.written == LINES


def changed(*, without: int = -1, then: Sequence[Arrival] = ()) -> list[Arrival]:
    return [each for number, each in enumerate(everything()) if number != without] + list(then)


@pytest.mark.parametrize(
    ("arrivals", "found"),
    [
        ([], {"lost": LINES}),
        (changed(without=3), {"lost": 1}),
        (changed(then=[arrival(3)]), {"repeated": 1, "unexcused": 1}),
        (changed(then=[arrival(3), arrival(3)]), {"repeated": 2, "unexcused": 2}),
        (changed(without=3, then=[arrival(3)]), {"disordered": 1}),
        (changed(without=3, then=[arrival(3, text=text_of(WEB, 3)[:-1])]), {"corrupted": 1, "disordered": 1}),
        (changed(without=9, then=[arrival(9, stream="stdout")]), {"corrupted": 1}),
        (changed(then=[arrival(3, text="something else")]), {"strangers": 1}),
        (changed(then=[arrival(LINES)]), {"strangers": 1}),
        (changed(then=[arrival(3, text=text_of("b" * 12, 3))]), {"strangers": 1}),
        (changed(then=[Arrival("b" * 12, "stdout", text_of("b" * 12, 0), "x", 1.0)]), {"strangers": 1}),
        (changed(then=[arrival(3, name="other")]), {"repeated": 1, "unexcused": 1, "changed_ids": 1}),
        (changed(without=9, then=[arrival(9, name="id-8")]), {"shared_ids": 1}),
    ],
)
def test_what_is_wrong_is_found(arrivals: list[Arrival], found: dict[str, int]) -> None:
    verdict = judge(arrivals)
    assert faults(verdict) == found
    assert not verdict.good(exactly_once=False)
    assert verdict.examples


@pytest.mark.parametrize(
    ("acked", "spans", "excused"),
    [
        (-1.0, [], True),
        (50.0, [], False),
        (50.0, [Span(50.5, 50.5)], True),
        (50.0, [Span(50.0 + GRACE_SECONDS + 0.1, 60.0)], False),
        (50.0, [Span(40.0, 49.0)], True),
        (50.0, [Span(40.0, 49.9 - GRACE_SECONDS)], False),
        (50.0, [Span(10.0, 10.0), Span(49.0, 51.0)], True),
    ],
)
def test_a_copy_is_excused_if_the_first_was_not_confirmed_at_a_disturbance(
    acked: float, spans: list[Span], excused: bool
) -> None:
    arrivals = everything()
    arrivals[3] = arrival(3, acked)
    verdict = judge([*arrivals, arrival(3, 70.0)], spans)
    assert verdict.repeated == 1
    assert verdict.unexcused == (0 if excused else 1)
    assert verdict.good(exactly_once=False) is excused
    assert not verdict.good(exactly_once=True)


def test_copies_of_what_was_confirmed_shortly_before_a_kill_are_counted() -> None:
    arrivals = everything()
    arrivals[3:6] = [arrival(3, 49.5), arrival(4, 49.25), arrival(5, 50.1)]
    copies = [arrival(number, 70.0) for number in (3, 4, 5)]
    verdict = judge([*arrivals, *copies], [Span(50.0, 50.0)])
    assert (verdict.confirmed, verdict.confirmed_seconds) == (2, 0.75)
    assert verdict.unexcused == 0


def test_a_third_copy_is_judged_by_the_second() -> None:
    arrivals = everything()
    arrivals[3] = arrival(3, -1.0)
    assert judge([*arrivals, arrival(3, 70.0), arrival(3, 80.0)]).unexcused == 1


def test_streams_have_an_order_each_and_none_between_them() -> None:
    late = [each for each in everything() if each.stream == "stderr"]
    early = [each for each in everything() if each.stream == "stdout"]
    assert not faults(judge([*early, *late]))


def test_copies_do_not_disturb_the_order() -> None:
    first = [arrival(number, -1.0) for number in range(6)]
    assert judge([*first, *everything()]).disordered == 0


def test_a_sink_without_an_order_is_not_asked_for_one() -> None:
    assert not faults(judge(everything()[::-1], ordered=False))


def test_examples_stay_few() -> None:
    verdict = judge([*everything(), *everything()])
    assert verdict.unexcused == LINES
    assert len(verdict.examples) == 5
