from __future__ import annotations

import subprocess

import pytest

from log_forwarder.verify.lines import Plan, Tally, tally

PLAN = Plan("m", 5)


def of(*numbers: int) -> list[str]:
    return [f"m {number} ..." for number in numbers]


@pytest.mark.parametrize(
    ("texts", "found", "lost", "repeated", "out_of_order"),
    [
        (of(1, 2, 3, 4, 5), 5, 0, 0, 0),
        ([], 0, 5, 0, 0),
        (of(1, 2, 4), 3, 2, 0, 0),
        (of(1, 2, 2, 3, 4, 5, 2), 5, 0, 2, 0),
        (of(2, 1, 3, 5, 4), 5, 0, 0, 2),
        (of(5, 1, 2, 3, 4), 5, 0, 0, 4),
        (["m 1 ...\nm 2 ...", "m 3 ...m 4 ...", *of(5)], 5, 0, 0, 0),
        (["m 1", "n 2 ...", "m x ...", "", "xm 3 ..."], 1, 4, 0, 0),
    ],
)
def test_lines_are_counted_by_their_numbers(
    texts: list[str], found: int, lost: int, repeated: int, out_of_order: int
) -> None:
    counted = tally(PLAN, texts)
    assert counted == Tally(5, found, repeated, out_of_order)
    assert counted.lost == lost
    assert counted.exact is (lost == repeated == 0)


def test_a_shell_writes_what_is_counted() -> None:
    plan = Plan.make(300)
    written = subprocess.run(["sh", "-c", plan.script()], capture_output=True, text=True, check=True).stdout
    assert tally(plan, written.splitlines()) == Tally(300, 300, 0, 0)
    assert plan.marker.isalnum()
    assert plan.marker.islower()
    assert Plan.make(1).marker != plan.marker


@pytest.mark.parametrize("count", [1, 100, 10_000, 1_000_000])
def test_no_file_is_removed_by_rotation(count: int) -> None:
    options = Plan("m", count).rotation()
    longest = (
        len(f'{{"log":"{Plan.make(1).marker} 1000000 {"." * 64}\\n","stream":"stdout","time":""}}\n') + 30
    )
    assert int(options["max-size"]) * int(options["max-file"]) > longest * count
    assert int(options["max-size"]) >= 4096
