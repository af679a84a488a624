from __future__ import annotations

import time
from collections.abc import Iterator

import docker
import docker.errors
import pytest

from lab import LabError, busybox, demo
from lab.engine import PrivateEngine
from lab.fixtures import CALL_TIMEOUT_S
from tests.integration.metrics import eventually

pytestmark = pytest.mark.engine

# The flapping service lives for 10 s before its first restart; a busy machine takes many times that.
SETTLED_TIMEOUT_S = 120

WANTED = {
    "demo-exited-1": "exited 3",
    "demo-flapping-1": "restarted",
    "demo-hungry-1": "running",
    "demo-unhealthy-1": "running unhealthy",
    "demo-web-1": "running healthy",
    "demo-web-2": "running healthy",
    "demo-worker-1": "running",
}


@pytest.fixture(scope="module")
def docker_client(request: pytest.FixtureRequest) -> Iterator[docker.DockerClient]:
    """Connect to an Engine of our own: others need the demo of theirs while we take ours down."""
    with PrivateEngine(request.config.getoption("--engine-line")) as engine:
        client = docker.DockerClient(base_url=engine.host, timeout=CALL_TIMEOUT_S)
        yield client
        client.close()


@pytest.fixture(scope="module")
def other_volumes(docker_client: docker.DockerClient) -> set[str]:
    """Return the names of the volumes that others have left on the Engine of the session."""
    return {volume.name for volume in docker_client.volumes.list()}


@pytest.fixture(scope="module")
def project(
    docker_client: docker.DockerClient,
    other_volumes: set[str],  # noqa: ARG001 - asked for before there are ours
) -> Iterator[docker.DockerClient]:
    demo.up(docker_client)
    yield docker_client
    demo.down(docker_client)


def states(client: docker.DockerClient) -> dict[str, str]:
    found = client.containers.list(all=True, filters={"label": "com.docker.compose.project=demo"})
    return {container.name: _state(container.attrs) for container in found}


def _state(attributes: dict[str, object]) -> str:
    state = attributes["State"]
    assert isinstance(state, dict)
    if attributes["RestartCount"]:
        return "restarted"
    health = state.get("Health", {}).get("Status", "")
    code = state["ExitCode"] if state["Status"] == "exited" else ""
    return f"{state['Status']} {health}{code}".strip()


def test_every_service_reaches_its_state(project: docker.DockerClient) -> None:
    deadline = time.monotonic() + SETTLED_TIMEOUT_S
    while states(project) != WANTED and time.monotonic() < deadline:
        time.sleep(0.2)
    assert states(project) == WANTED


def test_a_second_up_changes_nothing(project: docker.DockerClient) -> None:
    before = {container.id for container in project.containers.list(all=True)}
    demo.up(project)
    assert {container.id for container in project.containers.list(all=True)} == before


def test_the_worker_is_throttled_and_talks_over_the_network(project: docker.DockerClient) -> None:
    def check() -> None:
        stats = project.containers.get("demo-worker-1").stats(stream=False)
        assert stats["cpu_stats"]["throttling_data"]["throttled_periods"] > 0
        assert stats["networks"]["eth0"]["tx_bytes"] > 0

    eventually(check)


def test_the_hungry_one_is_near_its_limit_and_alive(project: docker.DockerClient) -> None:
    def check() -> None:
        hungry = project.containers.get("demo-hungry-1")
        memory = hungry.stats(stream=False)["memory_stats"]
        assert 0.9 < memory["usage"] / memory["limit"] < 1
        assert not hungry.attrs["State"]["OOMKilled"]

    eventually(check)


def test_a_container_that_was_removed_comes_back(project: docker.DockerClient) -> None:
    project.containers.get("demo-web-2").remove(force=True)
    demo.up(project)
    assert project.containers.get("demo-web-2").status == "running"


def test_the_network_is_the_projects_default_one(project: docker.DockerClient) -> None:
    (network,) = project.networks.list(names=["demo_default"])
    assert network.attrs["Labels"]["com.docker.compose.network"] == "default"
    assert "demo_default" in project.containers.get("demo-web-1").attrs["NetworkSettings"]["Networks"]


def test_down_removes_every_trace(project: docker.DockerClient, other_volumes: set[str]) -> None:
    demo.down(project)
    assert states(project) == {}
    assert project.networks.list(names=["demo"]) == []
    left = {volume.name for volume in project.volumes.list()}
    assert demo.VOLUME not in left
    assert left <= other_volumes
    with pytest.raises(docker.errors.ImageNotFound):
        project.images.get(demo.IMAGE)


def test_a_project_of_the_same_name_that_is_not_ours_is_left_alone(
    docker_client: docker.DockerClient,
) -> None:
    image = busybox.ensure_image(docker_client)
    foreign = docker_client.containers.create(image, labels={"com.docker.compose.project": "demo"})
    with pytest.raises(LabError, match="project named 'demo' of your own"):
        demo.up(docker_client)
    demo.down(docker_client)
    foreign.remove()
