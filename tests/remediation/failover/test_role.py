"""Fail-over in the real role on the fake Engine: by hand, and killed again and again."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.fake import FakeEngine
from compose_agent.failpoints import VARIABLE
from lab import LabError
from lab.agent import Agent

IN_GROUP = {
    "compose-agent.remediate": "restart",
    "com.docker.compose.project": "shop",
    "compose-agent.failover.group": "db",
}
BY_HAND = """
policies:
  switch-database:
    match: alertname="switch-database"
    target: container
    action: failover
    verify: none
"""
PATIENCE_SECONDS = 60.0
# After a kill the actor takes its time to be sure of what became of a call.
LIFE_SECONDS = 30.0
SWITCHED = ("exited", "running")


@pytest.fixture
def docker() -> Iterator[FakeEngine]:
    """Return a fake Engine with a primary that runs and a standby."""
    with FakeEngine() as engine:
        engine.add_network("shop_default")
        primary = {**IN_GROUP, "compose-agent.failover.role": "primary"}
        engine.add_container("db", labels=primary, network="shop_default")
        standby = {**IN_GROUP, "compose-agent.failover.alias": "database"}
        engine.add_container("spare", labels=standby, network="shop_default", running=False)
        yield engine


def states(docker: FakeEngine) -> tuple[str, str]:
    db, spare = (docker.inspect(name)["State"]["Status"] for name in ("db", "spare"))
    return db, spare


def calls(docker: FakeEngine, action: str) -> dict[str, int]:
    """Return how often the Engine was asked for an action, by container."""
    ids = {docker.inspect(name)["Id"]: name for name in ("db", "spare")}
    counts = {
        ids.get(key.split("/")[2], ""): count for key, count in docker.requests().items() if action in key
    }
    return {name: count for name, count in counts.items() if name}


def role(docker: FakeEngine, folder: Path, *options: str, failpoints: str = "") -> Agent:
    chosen = [f"--state-dir={folder}", *options]
    environ = {VARIABLE: failpoints}
    return Agent(docker.url, chosen, command="remediate", role="remediation", environ=environ)


def test_a_trigger_by_hand_switches_away_from_one_that_is_well(docker: FakeEngine, tmp_path: Path) -> None:
    policies = tmp_path / "policies.yml"
    policies.write_text(BY_HAND)
    event = {
        "specversion": "1.0",
        "type": "switch-database",
        "source": "/people/ann",
        "id": "1",
        "subject": "db",
        "data": {},
    }
    with role(docker, tmp_path / "state", f"--policies={policies}") as agent:
        agent.wait_ready()
        headers = {"Content-Type": "application/cloudevents+json"}
        status, body = agent.local.request("POST", "/v1/triggers", json.dumps(event).encode(), headers)
        assert status == 202, body
        agent.wait_until(lambda: states(docker) == SWITCHED, PATIENCE_SECONDS)
    aliases = docker.inspect("spare")["NetworkSettings"]["Networks"]["shop_default"]["Aliases"]
    assert "database" in aliases


@pytest.mark.parametrize("seed", range(2))
def test_killed_again_and_again_each_step_is_done_once(docker: FakeEngine, tmp_path: Path, seed: int) -> None:
    docker.set_health("db", "unhealthy")
    deaths = 0
    for run in range(40):
        if states(docker) == SWITCHED:
            break
        agent = role(docker, tmp_path, failpoints=f"random:{seed}.{run}:0.1")
        try:
            with agent:
                assert agent.process is not None
                deadline = time.monotonic() + LIFE_SECONDS
                while agent.process.poll() is None and states(docker) != SWITCHED:
                    assert time.monotonic() < deadline
                    time.sleep(0.05)
                deaths += agent.process.poll() == -signal.SIGKILL
        except LabError:
            deaths += 1  # before it answered
        assert states(docker) != ("running", "running")
    assert states(docker) == SWITCHED
    assert deaths > 0
    assert calls(docker, "/stop") == {"db": 1}
    assert calls(docker, "/start") == {"spare": 1}
