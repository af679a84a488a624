"""Configurations to agents of other makers, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.opamp_agents import NodeAgent, PythonAgent
from tests.fleet.manager.configs.by_hand import ask, push, rollout
from tests.fleet.manager.serving import Manager, serving, until

# The first start of Node.js on a busy machine, and the client's own pauses.
PATIENCE_SECONDS = 180.0
GOOD, BAD = "receivers: {}\n", "bad: {}\n"


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


@pytest.mark.parametrize("kind", [PythonAgent, NodeAgent])
def test_it_has_a_good_version_and_goes_back_from_a_bad_one(
    kind: type[PythonAgent | NodeAgent], manager: Manager
) -> None:
    with kind(f"{manager.url}/v1/opamp", name="guest", interval=0.5) as agent:
        until(lambda: manager.state("guest") == "online", PATIENCE_SECONDS)
        good = push(manager, GOOD, name="collector.yaml")
        until(lambda: rollout(manager, good["id"])["phase"] == "done", PATIENCE_SECONDS)
        bad = push(manager, BAD, name="collector.yaml")
        until(lambda: rollout(manager, bad["id"])["phase"] == "reverted", PATIENCE_SECONDS)
        node = ask(manager, "GET", "/api/v1/configs/nodes/guest")[1]
        sent = agent.configs()
    assert rollout(manager, bad["id"])["reason"] == "guest: it could not take it: bad is no option"
    assert [one["collector.yaml"] for one in sent] == [GOOD, BAD, GOOD]
    assert (node["status"], node["applied"]) == ("applied", node["desired"])
    assert node["failed_reason"] == "bad is no option"
    assert [one["status"] for one in node["history"]] == ["applied", "failed", "applied"]
