"""The actor's process killed at each of its fail points: after a restart, the same request ends done once."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.fake import Behaviour, FakeEngine
from tests.dockerd.verbs.acting import OPTED_IN, actions, cycles
from tests.dockerd.verbs.programs import ROOT, perform, start

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


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as started:
        yield started


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
    with start(engine.url, tmp_path, web, timeout=3) as doomed:
        while "kill" not in actions(engine, web):
            assert doomed.poll() is None
            time.sleep(0.01)
        doomed.kill()
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


@pytest.mark.parametrize("point", ["actor.before-refuse", "actor.after-refuse"])
def test_killed_while_it_refuses_it_refuses_again(engine: FakeEngine, tmp_path: Path, point: str) -> None:
    web = engine.add_container("web")
    assert perform(engine, tmp_path, web, point) == (-signal.SIGKILL, "")
    assert perform(engine, tmp_path, web) == (0, "refused")
    assert cycles(engine, web) == 0
