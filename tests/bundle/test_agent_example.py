"""One service with the Engine's socket and nothing else set runs as it stands, and drops root by itself."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from lab.bundle import IMAGE, Bundle
from lab.fixtures import CALL_TIMEOUT_S
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

EXAMPLE = Path(__file__).resolve().parents[2] / "docs/examples/agent-compose.yml"
READY_SECONDS = 60
UNPRIVILEGED = 65532
COMMAND = ["compose-agent", "--register", "--enable-metrics"]


@pytest.fixture(scope="module")
def agent(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """Bring the example up; an override says only where this Engine's socket is."""
    override = tmp_path_factory.mktemp("override") / "socket.yml"
    socket = [f"{bundle.environment['DOCKER_SOCKET']}:/var/run/docker.sock"]
    override.write_text(json.dumps({"services": {"compose-agent": {"volumes": socket}}}), encoding="utf-8")
    files = {"COMPOSE_FILE": f"{EXAMPLE}:{override}", "COMPOSE_PROJECT_NAME": "alone", "COMPOSE_PROFILES": ""}
    environment = {**bundle.environment, **files}
    compose = ["docker", "compose"]
    subprocess.run([*compose, "up", "--detach"], env=environment, check=True, timeout=CALL_TIMEOUT_S)
    with closing(docker.DockerClient(base_url=bundle.environment["DOCKER_HOST"])) as client:
        yield client.containers.get("alone-compose-agent-1")
    subprocess.run([*compose, "down", "--volumes"], env=environment, check=True, timeout=CALL_TIMEOUT_S)


def test_its_metrics_are_reached_from_another_container(agent: Container, bundle: Bundle) -> None:
    def check() -> None:
        said = bundle.client.containers.run(
            "busybox:1.37.0",
            ["wget", "-q", "-O", "-", "http://compose-agent:9417/metrics"],
            network="alone_default",
            remove=True,
        )
        text = said.decode()
        assert "docker_up 1" in text
        assert f'name="{agent.name}"' in text

    def tried() -> None:
        try:
            check()
        except docker.errors.ContainerError as error:
            raise AssertionError(str(error.stderr)) from error

    eventually(tried, seconds=READY_SECONDS)


def test_every_process_of_it_is_unprivileged(agent: Container) -> None:
    def check() -> None:
        processes = agent.top(ps_args="-o uid,pid,args")["Processes"]
        assert {int(uid) for uid, _, _ in processes} == {UNPRIVILEGED}
        for _, pid, _ in processes:
            with suppress(FileNotFoundError, ProcessLookupError):  # a health check that has ended
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                assert "CapEff:\t0000000000000000" in status

    # A health check is root's for the moment in which it becomes another user's.
    eventually(check, seconds=READY_SECONDS)


def test_health_is_asked_as_the_same_user(agent: Container) -> None:
    def check() -> None:
        done = agent.exec_run(["compose-agent", "health"])
        assert done.exit_code == 0, done.output

    eventually(check, seconds=READY_SECONDS)


def test_it_is_the_bundles_image(agent: Container) -> None:
    assert agent.attrs["Config"]["Image"] == IMAGE
    assert agent.attrs["Config"]["Cmd"] == COMMAND[1:]
