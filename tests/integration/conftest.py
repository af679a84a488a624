"""A demo project and an agent on the session's real Engine."""

from __future__ import annotations

from collections.abc import Iterator

import docker
import pytest

from lab import demo
from lab.agent import Agent
from lab.engine import PrivateEngine


@pytest.fixture(scope="session")
def project(docker_client: docker.DockerClient) -> Iterator[docker.DockerClient]:
    """Start the demo project, and remove it at the end."""
    demo.up(docker_client)
    yield docker_client
    demo.down(docker_client)


@pytest.fixture(scope="session")
def agent(engine: PrivateEngine, project: docker.DockerClient) -> Iterator[Agent]:  # noqa: ARG001 - is there
    """Run an exporter that has seen every container of the demo."""
    with Agent(engine.host, [f"--path.rootfs={engine.root}"]) as running:
        running.wait_ready()
        yield running
