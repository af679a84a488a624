"""Commands and jobs as a user gives them, to agents that run as a user runs them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compose_agent.dockerd.fake import FakeEngine
from tests.commands.program import Agent, eventually
from tests.commands.test_fleet import MANAGER, ask, is_ready, nodes


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    with FakeEngine(tmp_path / "docker.sock") as started:
        started.add_container("web", labels={"compose-agent.remediate": "restart"})
        yield started


@pytest.fixture
def fleet(agent: Callable[..., Agent], engine: FakeEngine) -> Agent:
    """A manager with one node, ``web-1``; returns the manager."""
    manager = agent("manager", "--state-dir=state", config=MANAGER, name="manager")
    eventually(lambda: is_ready(manager), "the manager never was ready")
    url = manager.client("manager").ready().listeners[0].replace("http", "ws")
    options = (
        f"--docker.host={engine.url}",
        f"--agent.manager-url={url}",
        "--agent.node-id=web-1",
        "--remediation.web.listen-address=127.0.0.1:0",
        "--enable-remediation",
        "--no-enable-metrics",
    )
    agent("run", "--state-dir=state", *options, name="host")
    eventually(lambda: nodes(manager).get("web-1", {}).get("healthy"), "the agent never was there")
    return manager


def test_exec_says_what_came_of_it(fleet: Agent, engine: FakeEngine) -> None:
    done = ask(fleet, "exec", "restart", "web", "--node=web-1")
    assert (done.returncode, done.stdout.partition("  ")[0]) == (0, "web-1"), done.stdout
    assert "web-1  done" in done.stdout
    assert sum(count for path, count in engine.requests().items() if path.endswith("/restart")) == 1
    engine.write("web", b"hello\n")
    assert "  hello\n" in ask(fleet, "exec", "logs", "web", "--select", 'id="web-1"').stdout
    refused = ask(fleet, "exec", "restart", "nobody", "--node=web-1")
    assert (refused.returncode, "there is no container 'nobody'" in refused.stdout) == (1, True)
    later = json.loads(ask(fleet, "exec", "inspect", "--node=web-1", "--no-wait", "--json").stdout)
    assert later[0]["verb"] == "inspect"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("exec", "reload"), "say whom it is for"),
        (("exec", "reload", "--node=x"), "there is no node x"),
        (("exec", "reload", "--node=web-1", "--with=x"), "expected KEY=VALUE"),
        (("exec", "reload", "--node=web-1", "--within=long"), "--within: expected a duration"),
        (("jobs", "show", "nothing"), "there is no job nothing"),
    ],
)
def test_what_cannot_be_is_said(fleet: Agent, arguments: tuple[str, ...], said: str) -> None:
    answer = ask(fleet, *arguments)
    assert answer.returncode != 0
    assert said in answer.stderr


def test_jobs_are_begun_and_shown(fleet: Agent) -> None:
    begun = ask(fleet, "jobs", "begin", "inspect", "--select", 'role="worker"')
    assert begun.returncode == 0, begun.stderr
    assert "1 parts: 1 done" in begun.stdout
    job = begun.stdout.split()[0]
    assert job in ask(fleet, "jobs", "list").stdout
    parts = ("--part=name=a", "--part=name=b", "--retries=1")
    split = ask(fleet, "jobs", "begin", "exec", "web", "--node=web-1", *parts)
    assert (split.returncode, "2 parts: 2 refused" in split.stdout) == (1, True), split.stdout
    shown = json.loads(ask(fleet, "jobs", "show", split.stdout.split()[0], "--json").stdout)
    assert [part["arguments"]["name"] for part in shown["parts"]] == ["a", "b"]
    assert "has ended" in ask(fleet, "jobs", "cancel", job).stderr
