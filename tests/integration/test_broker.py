"""The broker in front of a real Engine: the Docker CLI and the exporter read as if they were there."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from compose_agent.dockerd.verbs.model import Result, VerbRequest
from compose_agent.dockerd.verbs.remote import RemoteActor
from lab.agent import Agent
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

# The Docker CLI on a machine under full load.
PATIENCE_SECONDS = 60
LABELS = {"compose-agent.remediate": "restart"}
SAYING = "echo one; echo two >&2; trap 'exit 0' TERM; while :; do sleep 0.2; done"


@pytest.fixture(scope="module")
def broker(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    state = tmp_path_factory.mktemp("state")
    with Agent(engine.host, [f"--state-dir={state}"], command="broker", role="broker") as running:
        running.wait_ready()
        yield running


@pytest.fixture(scope="module")
def container(docker_client: docker.DockerClient, busybox: str) -> Iterator[str]:
    made = docker_client.containers.run(
        busybox,
        ["sh", "-c", SAYING],
        name="brokered",
        labels=LABELS,
        environment={"TOKEN": "secret"},
        detach=True,
    )
    eventually(lambda: _has_spoken(made), PATIENCE_SECONDS)
    yield str(made.id)
    made.remove(force=True)


def _has_spoken(container: Container) -> None:
    assert sorted(container.logs().split()) == [b"one", b"two"]


def docker_cli(broker: Agent, engine: PrivateEngine, *words: str, check: bool = True) -> str:
    """Return what the Docker CLI on the read socket prints."""
    done = subprocess.run(
        ["docker", *words],
        env=environment(broker, engine),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert bool(done.returncode) is not check, done.stderr
    return done.stdout + done.stderr


def environment(broker: Agent, engine: PrivateEngine) -> dict[str, str]:
    return {**engine.environment, "DOCKER_HOST": read_socket(broker)}


def read_socket(broker: Agent) -> str:
    return f"unix://{broker.run_dir}/read.sock"


def test_the_docker_cli_reads(broker: Agent, engine: PrivateEngine, container: str) -> None:
    listed = docker_cli(
        broker, engine, "ps", "--all", "--no-trunc", "--filter", "label=compose-agent.remediate"
    )
    assert container in listed
    assert "brokered" in docker_cli(broker, engine, "ps", "--size")
    assert docker_cli(broker, engine, "logs", "brokered").split() == ["one", "two"]
    assert docker_cli(broker, engine, "logs", "--tail", "1", "--timestamps", "brokered").endswith(
        ("one\n", "two\n")
    )
    assert "sleep" in docker_cli(broker, engine, "top", "brokered")
    assert "brokered" in docker_cli(broker, engine, "stats", "--no-stream")
    for words in ("version", "info", "images", "volume ls", "network ls", "system df"):
        assert docker_cli(broker, engine, *words.split())
    inspected = docker_cli(broker, engine, "inspect", "--type", "container", "brokered")
    assert "TOKEN=<redacted>" in inspected
    assert "secret" not in inspected


def test_the_docker_cli_follows_logs_and_events(broker: Agent, engine: PrivateEngine, container: str) -> None:
    ids = {"env": environment(broker, engine), "stdout": subprocess.PIPE, "text": True}
    events = subprocess.Popen(["docker", "events", "--format", "{{.Action}}"], **ids)  # type: ignore[call-overload]
    logs = subprocess.Popen(["docker", "logs", "--follow", "brokered"], **ids)  # type: ignore[call-overload]
    try:
        assert logs.stdout.readline() == "one\n"
        # Only what happens after the CLI has subscribed is printed.
        client = docker.DockerClient(base_url=engine.host)
        deadline = time.monotonic() + PATIENCE_SECONDS
        os.set_blocking(events.stdout.fileno(), False)
        seen = ""
        while "pause" not in seen and time.monotonic() < deadline:
            client.api.pause(container)
            client.api.unpause(container)
            time.sleep(0.2)
            seen += events.stdout.read() or ""
        assert "pause" in seen
        client.close()
    finally:
        for process in (events, logs):
            process.terminate()
            process.wait(PATIENCE_SECONDS)
            process.stdout.close()


@pytest.mark.parametrize(
    "words",
    ["stop brokered", "rm -f brokered", "exec brokered true", "run busybox", "cp brokered:/etc/passwd -"],
)
def test_the_docker_cli_changes_nothing(
    broker: Agent, engine: PrivateEngine, container: str, words: str
) -> None:
    said = docker_cli(broker, engine, *words.split(), check=False)
    assert "Error response from daemon" in said
    assert "socket" in said
    assert container in docker_cli(broker, engine, "ps", "--no-trunc")


def test_the_exporter_works_on_the_read_socket(broker: Agent, container: str) -> None:
    with Agent(read_socket(broker)) as exporter:
        exporter.wait_ready()
        metrics = exporter.get()
    assert "docker_up 1" in metrics
    assert f'name="brokered",id="{container[:12]}"' in metrics
    assert "docker_container_cpu_" in metrics


def test_a_restart_is_done_over_the_act_socket(
    broker: Agent, container: str, docker_client: docker.DockerClient
) -> None:
    before = docker_client.api.inspect_container(container)["State"]["StartedAt"]
    request = VerbRequest(id="i-1", verb="restart", target=container, reason="a test")
    actor = RemoteActor(Path(broker.run_dir) / "act.sock")
    outcome = actor.perform(request)
    assert outcome.result is Result.DONE, outcome
    after = docker_client.api.inspect_container(container)["State"]["StartedAt"]
    assert after > before
    assert actor.perform(request) == outcome
    assert docker_client.api.inspect_container(container)["State"]["StartedAt"] == after
