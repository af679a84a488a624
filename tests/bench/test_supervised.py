from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.supervised import Supervised

PATIENCE_SECONDS = 60.0


def eventually(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < ends, "what was waited for has not come"
        time.sleep(0.02)


def said(tmp_path: Path) -> str:
    log = tmp_path / "log"
    return log.read_text() if log.exists() else ""


def exporter(tmp_path: Path) -> list[str]:
    nowhere = f"--docker.host=unix://{tmp_path}/docker.sock"
    return ["export", nowhere, f"--run-dir={tmp_path}", "--web.listen-address=127.0.0.1:0"]


@pytest.mark.parametrize("forked", [False, True])
def test_what_is_killed_lives_again(tmp_path: Path, forked: bool) -> None:
    with Supervised(exporter(tmp_path), tmp_path / "log", forked=forked) as agent:
        eventually(lambda: "listening" in said(tmp_path))
        agent.kill()
        eventually(lambda: agent.lives == 2)

    assert (agent.kills, agent.faults) == (1, [])


@pytest.mark.parametrize("forked", [False, True])
def test_any_other_end_is_a_fault(tmp_path: Path, forked: bool) -> None:
    log = tmp_path / "log"
    with Supervised(["no-such-command"], log, pause_of=lambda _: 60.0, forked=forked) as agent:
        eventually(lambda: bool(agent.faults))

    assert "it ended with 2 in life 1" in agent.faults[0]
    assert "no-such-command" in agent.faults[0]
