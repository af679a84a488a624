"""The forwarder as a user starts it, on a folder such as Docker's, without an Engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.dockerfolder import config, identity, make_folder
from bench.jsonfile_driver import Rotation
from log_forwarder.fake.triggers import FakeTriggers
from tests.commands.program import Agent, eventually
from tests.log_forwarder.making import packed

CONFIG = """\
logs:
  web.listen-address: 127.0.0.1:0
  sink: remediation://
  engine: false
  from: beginning
  triggers: {oom: 'out of (memory|swap)', code: 500}
"""
WHO = identity(1, 1)


def write_log(root: Path, labels: dict[str, str], *lines: str) -> Path:
    """Make a container with labels that has written these lines, and return the path of its log."""
    log = make_folder(root, WHO, Rotation())
    described = config(WHO, log)
    described["Config"]["Labels"].update(labels)
    (log.parent / "config.v2.json").write_text(json.dumps(described))
    log.write_bytes(b"".join(packed(f"{line}\n", number) for number, line in enumerate(lines)))
    return log


@pytest.fixture
def role(tmp_path: Path) -> Iterator[FakeTriggers]:
    """The remediation role beside the agent that the tests start."""
    run_dir = tmp_path / "a" / "run"
    run_dir.mkdir(parents=True)
    with FakeTriggers(run_dir / "remediation.sock") as fake:
        yield fake


def patterns(role: FakeTriggers) -> list[str]:
    return [each["data"]["pattern"] for each in role.triggers]


def test_lines_become_triggers_by_configuration_and_by_label(
    agent: Callable[..., Agent], role: FakeTriggers, tmp_path: Path
) -> None:
    root = tmp_path / "docker"
    labels = {"compose-agent.logs.trigger.full": "disk full", "compose-agent.logs.trigger.code": "none"}
    log = write_log(root, labels, "fine", "out of memory", "500", "disk full")
    one = agent("forward", f"--docker-root={root}", f"--state-dir={tmp_path}", config=CONFIG)
    eventually(lambda: len(role.triggers) >= 2 or one.process.poll() is not None, "no triggers")
    assert patterns(role) == ["oom", "full"], one.log
    assert {each["subject"] for each in role.triggers} == {WHO.name}

    (one.folder / "agent.yml").write_text(CONFIG.replace("oom: 'out of", "late: 'late|out of"))
    assert one.client("logs").reload() == 2
    with log.open("ab") as file:
        file.write(packed("late\n", 9))
    eventually(lambda: len(role.triggers) >= 3, "no trigger of the new pattern")
    assert one.end() == 0
    assert patterns(role) == ["oom", "full", "late"]
    assert role.duplicates == 0
