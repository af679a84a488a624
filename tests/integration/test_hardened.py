"""The example of a hardened set-up as it stands in the documents: only the broker has the socket."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import docker
import pytest

from lab import image
from lab.engine import PrivateEngine
from lab.fixtures import CALL_TIMEOUT_S
from lab.loopback import DIRECT, free_port
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "docs/examples/hardened-compose.yml"
UP_SECONDS = 300
RESTART = """
from pathlib import Path
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.remote import RemoteActor
print(RemoteActor(Path("/run/compose-agent/act/act.sock")).perform(
    VerbRequest(id="i-1", verb="restart", target="%s")).result)
"""


@pytest.fixture(scope="module")
def builder() -> Iterator[PrivateEngine]:
    """Start an Engine whose builds reach the package registry, and whose ports are the host's."""
    with PrivateEngine("28", share_network=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def client(builder: PrivateEngine) -> Iterator[docker.DockerClient]:
    with closing(docker.DockerClient(base_url=builder.host, timeout=CALL_TIMEOUT_S)) as connected:
        yield connected


@pytest.fixture(scope="module")
def port(builder: PrivateEngine) -> Iterator[int]:
    """Bring the example up, and return the exporter's port."""
    chosen = free_port()
    environment = {
        **builder.environment,
        "COMPOSE_AGENT_IMAGE": image.build(builder),
        "DOCKER_SOCKET": builder.socket,
        "DOCKER_GID": str(Path(builder.socket).stat().st_gid),
        "EXPORTER_PORT": str(chosen),
    }
    compose("up", "--detach", "--wait", environment=environment)
    yield chosen
    compose("down", "--volumes", "--timeout=5", environment=environment)


def compose(*words: str, environment: dict[str, str]) -> None:
    command = ["docker", "compose", "--project-name=hardened", f"--file={EXAMPLE}", *words]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=UP_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_exporter_sees_everything_without_the_socket(port: int, client: docker.DockerClient) -> None:
    def scraped() -> None:
        with DIRECT.open(f"http://127.0.0.1:{port}/metrics", timeout=CALL_TIMEOUT_S) as answer:
            text = answer.read().decode()
        assert "docker_up 1" in text
        assert 'compose_service="broker"' in text

    eventually(scraped)
    for service, has in (("broker", True), ("exporter", False)):
        container = client.containers.get(f"hardened-{service}-1")
        mounts = [mount["Destination"] for mount in container.attrs["Mounts"]]
        assert any(mount.endswith("docker.sock") for mount in mounts) is has


def test_the_broker_has_nothing_else(port: int, client: docker.DockerClient) -> None:  # noqa: ARG001 - is up
    container = client.containers.get("hardened-broker-1")
    assert list(container.attrs["NetworkSettings"]["Networks"]) == ["none"]
    status = container.exec_run(["cat", "/proc/1/status"]).output.decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert (fields["CapEff"], fields["CapBnd"], fields["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")
    assert fields["Uid"].split()[1] == "65532"


def test_who_has_the_act_socket_restarts_what_opted_in(
    port: int,  # noqa: ARG001 - is up
    client: docker.DockerClient,
) -> None:
    options: dict[str, Any] = {
        "volumes": {"hardened_broker-act": {"bind": "/run/compose-agent/act"}},
        "network_mode": "none",
        "entrypoint": ["python3", "-c"],
        "remove": True,
    }
    for labels, result in (({"compose-agent.remediate": "restart"}, "done"), ({}, "refused")):
        target = client.containers.run(image.TAG, ["--help"], labels=labels, detach=True)
        code = (RESTART % target.id).replace("i-1", str(target.short_id))
        try:
            said = client.containers.run(image.TAG, [code], **options)
        finally:
            target.remove(force=True)
        assert said.decode().strip() == result
