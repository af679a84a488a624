"""A sample of the campaign: commands while agent and manager are killed."""

from __future__ import annotations

from pathlib import Path

from bench.fleet_commands import Run


def test_each_is_done_once_or_expires(tmp_path: Path) -> None:
    found = Run(tmp_path, seed=3, skew=200_000.0).perform(commands=30, round_trips=5)
    assert found["problems"] == []
    assert sum(found["kills"].values()) > 2
    assert found["stages"]["done"] == found["restarts"] > 0
