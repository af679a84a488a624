"""Several processes that share the containers: the real program on a folder that a writer fills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.dockerlogs import Writer, shares
from bench.forwarder_process import Forwarder
from bench.jsonfile_driver import Rotation
from compose_agent.web.localclient import LocalClient
from tests.log_forwarder.making import until

SENT = "log_forwarder_sent_events_total"
LINES = 4000


class Rig:
    """A forwarder of three processes, a folder of eight containers, and a file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.out = home / "out.ndjson"
        self.config = home / "agent.yml"
        self.config.write_text("logs:\n  workers: 3\n")
        self.writer = Writer(home / "docker", Rotation(), shares(8, even=True))
        options = ["--config.file", str(self.config)]
        self.forwarder = Forwarder(home / "docker", home, [f"file://{self.out}"], options)

    @property
    def arrived(self) -> list[str]:
        lines = self.out.read_text().splitlines() if self.out.exists() else []
        return [json.loads(line)["event_id"] for line in lines if line.endswith("}")]

    def client(self) -> LocalClient:
        return LocalClient(self.home / "state" / "run", "logs")


def runs(pid: int) -> bool:
    """Tell whether a process has not ended, whether or not its parent has taken note."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with ExitStack() as cleanup:
        made = Rig(tmp_path)
        cleanup.callback(made.forwarder.close)
        made.forwarder.start()
        made.forwarder.wait_ready()
        yield made


def test_together_they_ship_everything_once_and_are_seen_as_one(rig: Rig) -> None:
    rig.writer.backlog(LINES)
    until(lambda: len(rig.arrived) == LINES)
    assert len(set(rig.arrived)) == LINES
    until(lambda: rig.forwarder.metric(SENT) == LINES)
    assert rig.forwarder.metric("log_forwarder_containers") == 8
    assert {row["behind_bytes"] for row in rig.client().get_json("/v1/positions")} == {0}
    assert len(rig.forwarder.workers) == 3
    rig.forwarder.stop()


def test_one_that_is_killed_is_started_again_and_goes_on(rig: Rig) -> None:
    rig.writer._catch_up(LINES // 2)
    until(lambda: len(rig.arrived) == LINES // 2)
    killed = rig.forwarder.workers[0]
    os.kill(killed, signal.SIGKILL)
    rig.writer.backlog(LINES)
    until(lambda: len(rig.arrived) == LINES)
    assert len(set(rig.arrived)) == LINES
    until(lambda: len(rig.forwarder.workers) == 3)
    assert killed not in rig.forwarder.workers


def test_those_of_a_killed_forwarder_are_waited_for(rig: Rig) -> None:
    """They end when it does, and hold the state until then."""
    orphans = rig.forwarder.workers
    os.kill(rig.forwarder.pid, signal.SIGKILL)
    rig.forwarder.close()
    rig.forwarder.start()
    rig.writer.backlog(LINES)
    rig.forwarder.wait_ready()
    until(lambda: len(rig.arrived) == LINES)
    assert len(set(rig.arrived)) == LINES
    assert not any(map(runs, orphans))


def test_a_change_of_the_configuration_reaches_all_or_none(rig: Rig) -> None:
    rig.config.write_text("logs:\n  workers: 3\n  exclude: ['bench-*']\n")
    until(lambda: rig.client().ready().revision == 2)
    until(lambda: rig.forwarder.metric("log_forwarder_containers") == 0)
    rig.config.write_text("logs:\n  workers: 3\n  exclude: [\n")
    until(lambda: rig.forwarder.metric("log_forwarder_config_last_reload_successful") == 3)
    assert rig.client().ready().revision == 2


def test_a_sink_that_processes_cannot_share_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "compose_agent", "forward", "--sink", "stdout://", "--workers", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "sink stdout://: cannot be used by several processes: set workers to 1" in done.stderr
