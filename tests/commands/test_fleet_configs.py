"""Configuration from afar, with manager and agent as a user starts them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.fake import FakeEngine
from compose_agent.errors import ComposeAgentError
from lab.loopback import free_port
from tests.commands.program import COMMAND, Agent, environment
from tests.fleet.manager.configs.by_hand import ConfiguredAgent

MANAGER = (
    "manager:\n  insecure: true\n  heartbeat-interval: {heartbeat}\n"
    "  web.listen-address: ['127.0.0.1:{port}']\n"
)
ALLOWED = "agent.remote-options: [log, exporter, agent.manager-url, docker.host]\n"
PATH = "/api/v1/configs"
# Two programs that start, and a roll-out with its pauses, on a machine under full load.
PATIENCE_SECONDS = 180.0
Start = Callable[..., Agent]


def eventually(condition: Callable[[], object], what: str | Agent) -> None:
    """Return when ``condition`` holds; fails with ``what``, or what a program has logged until then."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, what if isinstance(what, str) else what.log
        time.sleep(0.05)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as started:
        yield started


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def manager(agent: Start, port: int) -> Agent:
    return start_manager(agent, port)


def start_manager(agent: Start, port: int, heartbeat: str = "10s") -> Agent:
    config = MANAGER.format(port=port, heartbeat=heartbeat)
    one = agent("manager", "--state-dir=state", config=config, name="manager")
    eventually(lambda: is_ready(one, "manager") or one.process.poll() is not None, "it never was ready")
    assert one.process.poll() is None, one.log
    return one


def is_ready(one: Agent, role: str) -> bool:
    try:
        return one.client(role).ready().ready
    except ComposeAgentError:
        return False


@pytest.fixture
def host(agent: Start, engine: FakeEngine, port: int, manager: Agent) -> Agent:
    one = start_host(agent, engine, port)
    eventually(lambda: "online" in state(manager), one)
    return one


def start_host(
    agent: Start, engine: FakeEngine, port: int, *options: str, patience: str = "2m", **more: Any
) -> Agent:
    url = f"--agent.manager-url=ws://127.0.0.1:{port}/agent"
    first = ("run", url, "--agent.node-id=web-1", f"--agent.remote-timeout={patience}", "--state-dir=state")
    return agent(*first, *options, f"--docker.host={engine.url}", config=ALLOWED, name="host", **more)


def state(manager: Agent) -> str:
    nodes = manager.client("manager").get_json("/api/v1/nodes")["nodes"]
    return ",".join(node["state"] for node in nodes)


def push(manager: Agent, body: str | None, **more: str) -> int:
    asked = {"name": "agent.yml", "body": body, "gate": "0s", "within": "5m", **more}
    status, answer = manager.client("manager").request("POST", PATH, json.dumps(asked).encode())
    document = json.loads(answer)
    assert status == 202, document
    number: int = document["rollout"]["id"]
    return number


def rollout(manager: Agent, number: int) -> dict[str, Any]:
    found: dict[str, Any] = manager.client("manager").get_json(f"/api/v1/rollouts/{number}")
    return found


def node(manager: Agent) -> dict[str, Any]:
    found: dict[str, Any] = manager.client("manager").get_json(f"{PATH}/nodes/web-1")
    return found


def kept(host: Agent) -> dict[str, Any]:
    path = host.folder / "state" / "remote-config.json"
    found: dict[str, Any] = json.loads(path.read_bytes()) if path.exists() else {}
    return found


def ends(manager: Agent, number: int, phase: str, one: Agent) -> dict[str, Any]:
    """Return a roll-out that has come to its end."""
    eventually(
        lambda: rollout(manager, number)["phase"] in {"done", "reverted"},
        f"{rollout(manager, number)} {one.log}",
    )
    found = rollout(manager, number)
    assert found["phase"] == phase, f"{found} {one.log}"
    return found


def role_pids(host: Agent) -> set[str]:
    """Return the processes of a host's roles; for a moment there is another, which makes the agent's key."""
    threads = Path(f"/proc/{host.process.pid}/task").iterdir()
    children = {pid for thread in threads for pid in children_of(thread)}
    return {pid for pid in children if is_role(pid)}


def children_of(thread: Path) -> list[str]:
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        return (thread / "children").read_text().split()
    return []


def is_role(pid: str) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return b"\0role\0" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def test_a_good_configuration_is_applied_hot_and_outlives_a_restart(
    agent: Start, engine: FakeEngine, port: int, manager: Agent, host: Agent
) -> None:
    before = role_pids(host)
    assert before
    ends(manager, push(manager, "log.level: debug\nexporter.scrape-timeout: 7s\n"), "done", host)
    assert node(manager)["status"] == "applied"
    assert role_pids(host) == before
    effective = manager.client("manager").get_json("/api/v1/nodes/web-1")["effective_config"]
    assert "exporter.scrape-timeout: 7s" in effective["compose-agent.yml"]
    assert host.end() == 0
    eventually(lambda: state(manager) == "offline", "it is not offline")
    again = start_host(agent, engine, port)
    eventually(lambda: state(manager) == "online", again)
    effective = manager.client("manager").get_json("/api/v1/nodes/web-1")["effective_config"]
    assert "exporter.scrape-timeout: 7s" in effective["compose-agent.yml"]
    assert node(manager)["status"] == "applied"
    number = push(manager, None)
    ends(manager, number, "done", again)
    effective = manager.client("manager").get_json("/api/v1/nodes/web-1")["effective_config"]
    assert "scrape-timeout" not in effective["compose-agent.yml"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("log.levle: debug\n", "manager/agent.yml:1: unknown option 'log.levle', did you mean 'log.level'?"),
        ("\nlog.level: loud\n", "manager/agent.yml:2: log.level: expected one of debug, info"),
        ("logs.workers: 2\n", "manager/agent.yml:1: this host does not let 'logs.workers' be set from afar"),
        ("agent.remote-options: [agent]\n", "'agent.remote-options' belongs to the host"),
        ("exporter.web.config.file: /nowhere\n", "/nowhere: cannot be read"),
        ("exporter.web.listen-address: ['127.0.0.1:{port}']\n", "the port is in use by python"),
    ],
)
def test_a_wrong_configuration_changes_nothing_and_the_reason_is_told(
    body: str, said: str, manager: Agent, host: Agent, port: int
) -> None:
    found = ends(manager, push(manager, body.format(port=port)), "reverted", host)
    assert said in found["reason"]
    eventually(lambda: node(manager)["status"] == "applied", host)
    assert said in node(manager)["failed_reason"]
    assert "level=error" not in host.log


def test_a_configuration_that_breaks_the_link_is_taken_back_by_the_host_itself(
    agent: Start, engine: FakeEngine, port: int, manager: Agent
) -> None:
    host = start_host(agent, engine, port, patience="3s")
    eventually(lambda: "online" in state(manager), host)
    number = push(manager, "agent.manager-url: ws://127.0.0.1:9/agent\n", within="5m")
    found = ends(manager, number, "reverted", host)
    eventually(lambda: "online" in state(manager), host)
    eventually(lambda: "no answer of its manager for 3 s" in node(manager)["failed_reason"], host)
    assert found["agents"]["failed"] == 1


def test_a_configuration_with_which_the_host_does_not_start_is_dropped(
    agent: Start, engine: FakeEngine, port: int, manager: Agent, host: Agent
) -> None:
    ends(manager, push(manager, "docker.host: ftp://nowhere\n"), "done", host)  # it waits for the next start
    assert host.end() == 0
    eventually(lambda: state(manager) == "offline", "it is not offline")
    again = start_host(agent, engine, port)
    eventually(lambda: state(manager) == "online", again)
    eventually(lambda: node(manager)["status"] == "failed", again)
    assert "the agent does not start with it" in node(manager)["failed_reason"]
    assert again.started().readiness()


@pytest.mark.parametrize("point", ["agent-configs.trying", "agent-configs.applied"])
def test_a_kill_in_the_middle_of_applying_leaves_a_trial_that_goes_on(
    point: str, agent: Start, engine: FakeEngine, port: int
) -> None:
    manager = start_manager(agent, port, heartbeat="30s")  # nobody is called offline meanwhile
    # Without the exporter, whose health is bad until it has reached the Engine: that would stop the roll-out.
    host = start_host(
        agent, engine, port, "--no-enable-metrics", prefix=("env", f"COMPOSE_AGENT_FAILPOINTS={point}")
    )
    eventually(lambda: state(manager) == "online", host)
    roles = host.roles()
    number = push(manager, "exporter.scrape-timeout: 7s\n")
    eventually(lambda: f"killed at the fail point {point}" in host.log, host)
    host.kill()  # what the link stood in is dead, and its roles end by themselves
    eventually(lambda: not any(Path(f"/proc/{role}").exists() for role in roles), "its roles live on")
    assert kept(host)["trial"]
    again = start_host(agent, engine, port, "--no-enable-metrics")
    ends(manager, number, "done", again)
    eventually(lambda: kept(again)["trial"] is None, again)
    assert kept(again)["current"]["files"] == {"agent.yml": "exporter.scrape-timeout: 7s\n"}
    assert node(manager)["status"] == "applied"


def test_a_manager_that_is_killed_goes_on_with_its_roll_out(
    agent: Start, port: int, manager: Agent, host: Agent
) -> None:
    number = push(manager, "exporter.scrape-timeout: 7s\n", gate="3s")
    eventually(lambda: node(manager)["status"] == "applied", host)
    assert rollout(manager, number)["phase"] == "running"
    manager.kill()
    again = start_manager(agent, port)
    assert rollout(again, number)["phase"] == "running"
    ends(again, number, "done", host)
    assert node(again)["status"] == "applied"


@pytest.mark.parametrize(("body", "phase"), [("log.level: debug\n", "done"), ("bad: 1\n", "reverted")])
def test_a_manager_that_is_killed_between_batches_knows_who_has_what(
    body: str, phase: str, agent: Start, port: int, manager: Agent
) -> None:
    with ExitStack() as held:
        here = Place(port, held)
        first, second = ConfiguredAgent(here, "web-1"), ConfiguredAgent(here, "web-2")
        good = push(manager, "log.level: info\n", batch="100%")
        for each in (first, second):
            each.listen()
        ends(manager, good, "done", manager)
        number = push(manager, body, batch="1")
        first.hear()  # it is sent the version, and says nothing of it
        manager.kill()
        again = start_manager(agent, port)
        second = second.comes_back(here)
        assert second.files == {"agent.yml": "log.level: info\n"}
        first = first.comes_back(here)
        if phase == "done":
            second.listen()
        eventually(lambda: first.speaks() and rollout(again, number)["phase"] == phase, again)
        wanted = body if phase == "done" else "log.level: info\n"
        assert first.files == second.files == {"agent.yml": wanted}


@dataclass(frozen=True)
class Place:
    """Where agents by hand connect."""

    port: int
    agents: ExitStack

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/agent"


@pytest.mark.usefixtures("host")
def test_the_commands_that_a_person_types(manager: Agent, tmp_path: Path) -> None:
    file = tmp_path / "agent.yml"
    file.write_text("log.level: info\n")
    first = typed(manager, "push", str(file), "--gate=0s", "--wait", "--note=first")
    assert first.stdout.splitlines()[-1].startswith("roll-out 1 done, batch 1 of 1 (1 passed)"), first
    file.write_text("log.level: loud\n")
    second = typed(manager, "push", str(file), "--gate=0s", "--wait")
    assert (second.returncode, "expected one of debug, info" in second.stderr) == (1, True), second
    shown = typed(manager, "show").stdout.splitlines()
    assert [line.split()[:3] for line in shown] == [["FILE", "SCOPE", "VERSION"], ["agent.yml", "all", "1"]]
    assert typed(manager, "show", "agent.yml").stdout == "log.level: info\n"
    assert "failed" in typed(manager, "show", "--node=web-1").stdout
    assert [line.split()[0] for line in typed(manager, "history", "agent.yml").stdout.splitlines()[1:]] == [
        "2",
        "1",
    ]
    assert typed(manager, "diff", "agent.yml").stdout.splitlines()[-2:] == [
        "-log.level: info",
        "+log.level: loud",
    ]
    assert "reverted" in typed(manager, "rollout").stdout
    assert "web-1  failed" in typed(manager, "rollout", "2").stdout
    refused = typed(manager, "rollout", "2", "--resume")
    assert (refused.returncode, "roll-out 2 is reverted" in refused.stderr) == (1, True)


def typed(manager: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "config", *arguments, f"--run-dir={manager.run_dir}"]
    home = environment(manager.folder)
    return subprocess.run(command, capture_output=True, text=True, env=home, check=False)
