"""A manager and agents as a user starts them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.fake import FakeEngine
from compose_agent.errors import ComposeAgentError
from tests.commands.program import COMMAND, Agent, environment, eventually

LOCAL = "manager: {web.listen-address: ['127.0.0.1:0']}"
EVERYWHERE = "manager: {web.listen-address: [':0']}"
MANAGER = "manager:\n  insecure: true\n  heartbeat-interval: 1s\n  web.listen-address: ['127.0.0.1:0']\n"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as started:
        yield started


@pytest.fixture
def manager(agent: Callable[..., Agent]) -> Agent:
    one = agent("manager", "--state-dir=state", config=MANAGER, name="manager")
    eventually(lambda: is_ready(one) or one.process.poll() is not None, "it never was ready")
    assert one.process.poll() is None, one.log
    return one


def is_ready(one: Agent) -> bool:
    try:
        return one.client("manager").ready().ready
    except ComposeAgentError:
        return False


def ask(manager: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, *arguments, f"--run-dir={manager.run_dir}"]
    home = environment(manager.folder)
    return subprocess.run(command, capture_output=True, text=True, env=home, cwd=manager.folder, check=False)


def nodes(manager: Agent) -> Mapping[str, Any]:
    document = manager.client("manager").get_json("/api/v1/nodes")
    return {node["node_id"]: node for node in document["nodes"]}


def test_an_agent_registers_and_is_shown_and_says_goodbye(
    agent: Callable[..., Agent], engine: FakeEngine, manager: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = manager.client("manager").ready().listeners[0]
    monkeypatch.setenv("MANAGER_URL", f"{url.replace('http', 'ws')}/agent")
    monkeypatch.setenv("NODE_ID", "web-1")
    one = agent("run", "--register", f"--docker.host={engine.url}", "--state-dir=state", name="host")
    eventually(lambda: nodes(manager).get("web-1", {}).get("state") == "online", one.log)
    eventually(lambda: nodes(manager)["web-1"]["healthy"], "its roles never were ready")
    table = ask(manager, "nodes").stdout
    assert "1 nodes: 1 online" in table
    assert "web-1" in table
    told = ask(manager, "node", "web-1").stdout
    assert "exporter healthy" in told
    assert "never seen -> online" in told
    assert one.end() == 0
    eventually(lambda: nodes(manager)["web-1"]["state"] == "offline", "it is not offline")
    assert nodes(manager)["web-1"]["reason"] == "the agent said goodbye"
    document = json.loads(ask(manager, "nodes", "--json", "--state=offline").stdout)
    assert [node["node_id"] for node in document["nodes"]] == ["web-1"]


def test_a_node_can_be_switched_off_and_forgotten(
    agent: Callable[..., Agent], engine: FakeEngine, manager: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = manager.client("manager").ready().listeners[0]
    monkeypatch.setenv("MANAGER_URL", url.replace("http", "ws"))  # the path is filled in
    one = agent("run", f"--docker.host={engine.url}", "--state-dir=state", name="host")
    eventually(lambda: nodes(manager).get("fake-engine", {}).get("state") == "online", one.log)
    assert ask(manager, "node", "fake-engine", "--disable").returncode == 0
    assert nodes(manager)["fake-engine"]["state"] == "disabled"
    assert one.end() == 0
    assert ask(manager, "node", "fake-engine", "--forget").returncode == 0
    missing = ask(manager, "node", "fake-engine")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "there is no node fake-engine" in missing.stderr


@pytest.mark.parametrize(
    ("arguments", "config", "said"),
    [
        (("manager",), LOCAL, "expected TLS in manager.web.config.file, or manager.insecure"),
        (("manager", "--insecure"), EVERYWHERE, "expected addresses of this machine"),
        (("run", "--register"), "", "expected agent.manager-url"),
        (("run", "--agent.manager-url=ws://10.0.0.1/agent"), "", "is not encrypted: expected wss or https"),
        (("run", "--agent.manager-url=ftp://x"), "", "expected a URL such as wss://"),
        (("run", "--agent.server-address=10.0.0.1:1", "--agent.token-file=/nowhere"), "", "cannot be read"),
    ],
)
def test_a_set_up_that_cannot_work_or_is_not_safe_is_refused(
    arguments: tuple[str, ...], config: str, said: str, agent: Callable[..., Agent]
) -> None:
    one = agent(*arguments, "--state-dir=state", config=config)
    eventually(lambda: one.process.poll() is not None, "it runs")
    assert one.process.returncode == 2
    assert said in one.log
