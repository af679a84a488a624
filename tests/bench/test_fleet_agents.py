from __future__ import annotations

import json

import pytest

from bench.fleet_agents import main


def test_a_short_run_has_every_agent_back_after_a_kill(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--agents",
        "30",
        "--interval",
        "2",
        "--seconds",
        "4",
        "--connect-rate",
        "20",
        "--commands",
        "10",
    ]
    assert main(options) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["joined"]["told_to_come_again"] > 0
    assert found["steady"]["messages"] > 0
    assert found["round_trip"]["done"] == found["round_trip"]["commands"] == 10
    assert (found["joined"]["missing"], found["restart"]["missing"], found["false_offline"]) == (0, 0, 0)
