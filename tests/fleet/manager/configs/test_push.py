"""What agents are sent, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.manager.configs.by_hand import ConfiguredAgent, ask, push, rollout
from tests.fleet.manager.serving import Manager, serving, until


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


def test_a_push_reaches_an_agent_that_is_connected_and_one_that_comes_later(manager: Manager) -> None:
    first = ConfiguredAgent(manager, "web-1")
    begun = push(manager, "log.level: debug\n")
    first.listen()
    assert first.files == {"agent.yml": "log.level: debug\n"}
    until(lambda: rollout(manager, begun["id"])["phase"] == "done")
    later = ConfiguredAgent(manager, "web-2")
    assert later.files == first.files
    status, node = ask(manager, "GET", "/api/v1/configs/nodes/web-1")
    assert status == 200
    assert node["status"] == "applied"
    assert node["desired"] == node["applied"] == first.hash.hex()


def test_a_bad_version_goes_back_and_only_one_batch_had_it(manager: Manager) -> None:
    agents = [ConfiguredAgent(manager, f"web-{number}") for number in range(4)]
    good = push(manager, "log.level: debug\n")
    for agent in agents:
        agent.listen()
    until(lambda: rollout(manager, good["id"])["phase"] == "done")
    kept = agents[0].hash
    bad = push(manager, "bad: 1\n", batch="1")
    agents[0].listen()  # fails
    agents[0].listen()  # and is sent what it had
    until(lambda: rollout(manager, bad["id"])["phase"] == "reverted")
    found = rollout(manager, bad["id"])
    assert "web-0: it could not take it: agent.yml:1: bad is no option" in found["reason"]
    assert found["agents"]["failed"] == 1
    assert found["agents"]["waiting"] == 3
    node = ask(manager, "GET", "/api/v1/configs/nodes/web-0")[1]
    assert node["desired"] == node["applied"] == kept.hex()
    assert node["failed"]
    until(lambda: len(ask(manager, "GET", "/api/v1/configs/nodes/web-0")[1]["history"]) == 3)
    history = ask(manager, "GET", "/api/v1/configs/nodes/web-0")[1]["history"]
    assert [one["status"] for one in reversed(history)] == ["applied", "failed", "applied"]
