from __future__ import annotations

import pytest

from remediation.triggers.probes.spec import ProbeKind, ProbeSpec
from remediation.triggers.probes.streak import Streak, noted


@pytest.mark.parametrize(
    ("results", "failures", "successes", "expected"),
    [
        ("...", 3, 1, "..."),
        ("xx.xx.", 3, 1, "......"),
        ("xxxx", 3, 1, "..F."),
        ("xxx.x", 3, 1, "..FO."),
        ("xxx.x..", 3, 2, "..F...O"),
        ("x.x", 1, 1, "FOF"),
        ("xxx.xxx", 3, 2, "..F...."),
    ],
)
def test_so_many_in_a_row_change_it(results: str, failures: int, successes: int, expected: str) -> None:
    spec = ProbeSpec(ProbeKind.TCP, 1, failures=failures, successes=successes)
    streak, found = Streak(), ""
    for moment, result in enumerate(results):
        changed = noted(streak, spec, float(moment), ok=result == ".")
        found += ("F" if streak.failing else "O") if changed else "."
    assert found == expected


def test_it_began_with_the_first_failure_in_the_row() -> None:
    spec, streak = ProbeSpec(ProbeKind.TCP, 1), Streak()
    for moment, ok in ((1.0, False), (2.0, True), (3.0, False), (4.0, False), (5.0, False)):
        noted(streak, spec, moment, ok=ok)
    assert (streak.failing, streak.began) == (True, 3.0)
