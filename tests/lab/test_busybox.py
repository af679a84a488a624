from __future__ import annotations

import docker
import pytest

from lab import busybox as image

pytestmark = pytest.mark.engine


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (["sh", "-c", "seq 3 | wc -l"], b"3\n"),
        (["id", "-un"], b"root\n"),
        (["stat", "-c", "%a", "/tmp"], b"1777\n"),
        (["which", "httpd", "wget", "dd"], b"/usr/sbin/httpd\n/usr/bin/wget\n/bin/dd\n"),
    ],
)
def test_the_image_has_what_a_container_needs(
    docker_client: docker.DockerClient, busybox: str, command: list[str], output: bytes
) -> None:
    assert docker_client.containers.run(busybox, command, remove=True) == output


def test_the_image_is_made_once(docker_client: docker.DockerClient, busybox: str) -> None:
    before = docker_client.images.get(busybox).id
    assert docker_client.images.get(image.ensure_image(docker_client)).id == before


def test_an_image_of_an_older_recipe_is_made_anew(docker_client: docker.DockerClient) -> None:
    docker_client.api.import_image_from_data(image.archive(), repository="old", tag="1")
    before = docker_client.images.get("old:1").id
    assert docker_client.images.get(image.ensure_image(docker_client, "old:1")).id != before
    docker_client.images.remove("old:1")
    docker_client.images.remove(before)


def test_the_archive_is_the_same_each_time() -> None:
    assert image.archive() == image.archive()
