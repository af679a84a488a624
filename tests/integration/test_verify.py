"""``compose-agent logs verify`` on a real Engine, through a running forwarder and through its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from lab.engine import PrivateEngine
from lab.shipping import Shipping

pytestmark = [pytest.mark.engine, pytest.mark.lines]

LINES = 5000


@pytest.fixture
def shipping(engine: PrivateEngine, tmp_path: Path) -> Iterator[Shipping]:
    started = Shipping(engine, tmp_path)
    with started.agent:
        started.agent.wait_ready()
        yield started


def verify(engine: PrivateEngine, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command on an Engine's own folders."""
    given = [f"--docker.host={engine.host}", f"--docker-root={engine.root / 'data'}", f"--lines={LINES}"]
    command = [sys.executable, "-m", "compose_agent", "logs", "verify", "--json", *given, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def reports(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Return what was counted, without what differs from run to run."""
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert all(each.pop("seconds") > 0 for each in found)
    return found


def counts(sink: str, **other: int | None) -> dict[str, Any]:
    exact = {"written": LINES, "found": LINES, "lost": 0, "repeated": 0, "out_of_order": 0}
    return {"sink": sink, **exact, **other}


def left_behind(client: docker.DockerClient) -> list[str]:
    return [each.name for each in client.containers.list(all=True) if "verify" in each.name]


def test_every_line_is_found_once_in_the_file_of_the_running_forwarder(
    shipping: Shipping,
    engine: PrivateEngine,
    docker_client: docker.DockerClient,
    busybox: str,
    tmp_path: Path,
) -> None:
    sink = f"file://{tmp_path}/out.ndjson"
    done = verify(engine, f"--run-dir={shipping.agent.run_dir}", f"--sink={sink}", f"--image={busybox}")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"through the running forwarder to {sink}\n"
    assert reports(done) == [counts(sink)]
    files = [each["event_id"].split(".")[1] for each in shipping.events() if "verify" in each["log"]]
    assert len(set(files)) > 4, "the log was not rotated"
    assert left_behind(docker_client) == []


def test_without_a_forwarder_it_is_one_of_its_own(
    engine: PrivateEngine, docker_client: docker.DockerClient, busybox: str, tmp_path: Path
) -> None:
    del busybox  # is on the host, and found there
    done = verify(engine, f"--run-dir={tmp_path}", "--no-engine", "--sink=fluentd://192.0.2.1")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "through a forwarder of its own to a counting sink\n"
    assert reports(done) == [counts("a counting sink")]
    assert left_behind(docker_client) == []


def test_lines_that_are_not_at_the_sink_are_lost_and_that_is_a_failure(
    shipping: Shipping,
    engine: PrivateEngine,
    docker_client: docker.DockerClient,
    busybox: str,
    tmp_path: Path,
) -> None:
    name = f"file://{tmp_path}/out.ndjson"  # but what is read is another file
    sink = f"--sink=file://{tmp_path}/other.ndjson?name={name}"
    done = verify(engine, f"--run-dir={shipping.agent.run_dir}", sink, f"--image={busybox}", "--timeout=3s")
    assert done.returncode == 1
    assert reports(done) == [counts(name, found=0, lost=LINES)]
    assert f"compose-agent: {name}: {LINES} lost, 0 repeated: give it more time" in done.stderr
    assert left_behind(docker_client) == []


def test_a_sink_that_the_running_forwarder_has_not_is_told_from_one_that_loses(
    shipping: Shipping,
    engine: PrivateEngine,
    docker_client: docker.DockerClient,
    busybox: str,
    tmp_path: Path,
) -> None:
    sink = f"--sink=file://{tmp_path}/other.ndjson"
    done = verify(engine, f"--run-dir={shipping.agent.run_dir}", sink, f"--image={busybox}", "--timeout=2s")
    assert (done.returncode, done.stdout) == (1, "")
    assert "other.ndjson: check that it runs with the same configuration" in done.stderr
    assert left_behind(docker_client) == []


def test_an_image_that_is_not_there_is_named(
    engine: PrivateEngine, docker_client: docker.DockerClient, tmp_path: Path
) -> None:
    done = verify(engine, f"--run-dir={tmp_path}", "--image=nowhere:1")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        1,
        "compose-agent: this host has no image nowhere:1: pull it first",
    )
    assert left_behind(docker_client) == []
