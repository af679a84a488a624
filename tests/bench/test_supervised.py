from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench.supervised import Supervised

PATIENCE_SECONDS = 60.0


def eventually(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < ends, "what was waited for has not come"
        time.sleep(0.02)


def exporter(tmp_path: Path) -> list[str]:
    nowhere = f"--docker.host=unix://{tmp_path}/docker.sock"
    return ["export", nowhere, f"--run-dir={tmp_path}", "--web.listen-address=127.0.0.1:0"]


def test_what_is_killed_lives_again(tmp_path: Path) -> None:
    with Supervised(exporter(tmp_path), tmp_path / "log") as agent:
        eventually(lambda: "listening" in (tmp_path / "log").read_text())
        agent.kill()
        eventually(lambda: agent.lives == 2)

    assert (agent.kills, agent.faults) == (1, [])


def test_any_other_end_is_a_fault(tmp_path: Path) -> None:
    with Supervised(["no-such-command"], tmp_path / "log", pause_of=lambda _: 60.0) as agent:
        eventually(lambda: bool(agent.faults))

    assert "it ended with 2 in life 1" in agent.faults[0]
    assert "no-such-command" in agent.faults[0]
