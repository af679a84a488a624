"""Agents of other makers against the manager, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.opamp_agents import NodeAgent, PythonAgent
from tests.fleet.manager.serving import Manager, serving, until

# The first start of Node.js on a busy machine, and the client's own first pause.
PATIENCE_SECONDS = 60.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with serving(tmp_path) as running:
        yield running


def messages(manager: Manager) -> float:
    lines = manager.get("/metrics").data.decode().splitlines()
    return next(
        float(line.split()[1]) for line in lines if line.startswith('fleet_messages_total{transport="http"}')
    )


@pytest.mark.parametrize(("kind", "service"), [(PythonAgent, "python-agent"), (NodeAgent, "node-agent")])
def test_an_agent_of_another_maker_is_a_node(
    kind: type[PythonAgent | NodeAgent], service: str, manager: Manager
) -> None:
    with kind(f"{manager.url}/v1/opamp", name="guest", interval=1):
        until(lambda: manager.state("guest") == "online", PATIENCE_SECONDS)
        node = manager.nodes()["guest"]
        assert (node["service"], node["transport"], node["interval"]) == (service, "http", 30.0)


def test_a_goodbye_of_the_python_client_counts_although_it_speaks_behind_it(manager: Manager) -> None:
    with PythonAgent(f"{manager.url}/agent", name="guest", interval=0.3):
        until(lambda: manager.state("guest") == "online", PATIENCE_SECONDS)
    assert until(lambda: manager.state("guest") == "offline", PATIENCE_SECONDS) < 5.0
    assert manager.nodes()["guest"]["reason"] == "the agent said goodbye"


def test_no_agent_is_asked_for_its_state_without_an_end(manager: Manager) -> None:
    with PythonAgent(f"{manager.url}/v1/opamp", name="guest", interval=1):
        until(lambda: manager.state("guest") == "online", PATIENCE_SECONDS)
        before = messages(manager)
        until(lambda: messages(manager) >= before + 3, PATIENCE_SECONDS)
        text = manager.get("/metrics").data.decode()
    asked = next(line for line in text.splitlines() if line.startswith("fleet_full_state_requests_total "))
    assert float(asked.split()[1]) <= 1
