"""The images that stand in for those that cannot be pulled."""

from __future__ import annotations

import re

import docker
import pytest

from lab import standins
from lab.engine import PrivateEngine

NOT_OURS = ("prometheus", "alertmanager")


def test_tags_are_those_of_the_compose_file() -> None:
    tags = standins.tags_of_services()
    assert tags["prometheus"].startswith("prom/prometheus:v")
    assert tags["alertmanager"].startswith("prom/alertmanager:v")
    assert tags["demo-web"].startswith("busybox:")


@pytest.mark.engine
def test_programs_are_of_the_line_that_the_tag_says(
    engine: PrivateEngine, docker_client: docker.DockerClient
) -> None:
    made = standins.ensure(docker_client, engine)
    tags = standins.tags_of_services()
    assert made == [tags["prometheus"], tags["alertmanager"], tags["demo-web"]]
    for name in NOT_OURS:
        said = docker_client.containers.run(tags[name], ["--version"], stderr=True, remove=True).decode()
        version = re.search(r"version (\d+\.\d+)", said)
        assert version
        assert tags[name].rpartition(":")[2].startswith(f"v{version[1]}.")
        inside = docker_client.images.get(tags[name]).attrs["Config"]
        assert inside["User"] == "65534"
        assert inside["Entrypoint"] == [f"/bin/{name}"]
