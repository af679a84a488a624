"""The actor's process killed at each of its fail points: after a restart, the same request ends done once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import compose_agent
from compose_agent.dockerd.fake import Behaviour, FakeEngine
from compose_agent.failpoints import VARIABLE
from tests.dockerd.verbs.acting import OPTED_IN, cycles

ROOT = Path(compose_agent.__file__).parent.parent
# Every one in the actor's source that lies on the way of a request that is carried out.
POINTS = sorted(
    {
        point
        for name in ("actor", "pursuit")
        for point in re.findall(
            r'failpoint\("([^"]+)"\)', (ROOT / f"compose_agent/dockerd/verbs/{name}.py").read_text()
        )
        if "refuse" not in point
    }
)
PROGRAM = """
import sys
from pathlib import Path
from tests.dockerd.verbs.acting import acting, asked

url, folder, verb, target, timeout = sys.argv[1:]
with acting(url, Path(folder)) as actor:
    print(actor.perform(asked(verb, target, timeout=int(timeout))).result)
"""


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


def perform(
    engine: FakeEngine, folder: Path, target: str, failpoints: str = "", *, timeout: int = 10
) -> tuple[int, str]:
    """Ask for a restart in a process of its own; return its exit code and what it printed."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, engine.url, str(folder), "restart", target, str(timeout)],
        env=os.environ | {VARIABLE: failpoints, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert not ended.stderr, ended.stderr
    return ended.returncode, ended.stdout.strip()


def test_all_points_are_known() -> None:
    assert POINTS == [
        "actor.after-call", "actor.after-end", "actor.after-start", "actor.before-call", "actor.before-end",
        "actor.before-look", "actor.before-start",
    ]  # fmt: skip


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_a_point_it_is_done_once(engine: FakeEngine, tmp_path: Path, point: str) -> None:
    web = engine.add_container("web", labels=OPTED_IN)
    assert perform(engine, tmp_path, web, point) == (-signal.SIGKILL, "")
    assert perform(engine, tmp_path, web) == (0, "done")
    assert cycles(engine, web) == 1


def test_killed_while_the_engine_is_at_it_it_is_waited_for(engine: FakeEngine, tmp_path: Path) -> None:
    web = engine.add_container("web", labels=OPTED_IN, behaviour=Behaviour(ignores_term=True))
    code = PROGRAM + "\n"
    doomed = subprocess.Popen(
        [sys.executable, "-c", code, engine.url, str(tmp_path), "restart", web, "3"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    while not any(event.action == "kill" for event in engine.core.events.since(1, None)):
        assert doomed.poll() is None
    doomed.kill()
    doomed.wait()
    assert perform(engine, tmp_path, web, timeout=3) == (0, "done")
    assert cycles(engine, web) == 1


def test_killed_again_and_again_it_is_done_once(engine: FakeEngine, tmp_path: Path) -> None:
    web = engine.add_container("web", labels=OPTED_IN, behaviour=Behaviour(stop_takes=0.1))
    for seed in range(40):
        code, said = perform(engine, tmp_path, web, f"random:{seed}:0.3")
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert (code, said) == (0, "done")
    assert cycles(engine, web) == 1
