from __future__ import annotations

from compose_agent.dockerd.model import Container
from log_forwarder.event import metadata
from tests.log_forwarder.making import ID, container, make_batch


def test_a_compose_service_is_told_by_its_labels() -> None:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.container-number": "1",
        "other": "label",
    }
    assert metadata(container(labels=labels), "host-1") == {
        "container_id": ID,
        "container_name": "/shop-web-1",
        "image": "web:1",
        "compose_project": "shop",
        "compose_service": "web",
        "compose_number": "1",
        "host": "host-1",
    }


def test_what_is_not_known_is_left_out() -> None:
    assert metadata(container(), "") == {
        "container_id": ID,
        "container_name": "/shop-web-1",
        "image": "web:1",
    }


def test_a_container_whose_name_is_not_known_yet_has_none() -> None:
    unknown = Container(id=ID, name="", image="", image_id="", state="running")
    assert metadata(unknown, "") == {"container_id": ID}


def test_batches_are_told_apart_by_identity_not_by_content() -> None:
    assert make_batch("a") != make_batch("a")
