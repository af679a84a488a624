from __future__ import annotations

import pytest

from compose_agent.dockerd.verbs.compose.siblings import HASH_LABEL, HOOK_LABEL, labels_of, service_from
from tests.dockerd.verbs.compose.samples import TARGET, identity, inspected, replica, service


@pytest.mark.parametrize(
    ("labels", "counts"),
    [
        ({}, True),
        ({"com.docker.compose.oneoff": "True"}, False),
        ({HOOK_LABEL: "pre_start"}, False),
        ({"com.docker.compose.project": "other"}, False),
        ({"com.docker.compose.service": "db"}, False),
    ],
)
def test_what_compose_counts_is_a_replica(labels: dict[str, str], counts: bool) -> None:
    assert bool(service(inspected(labels=labels)).replicas) is counts


def test_a_container_without_a_hash_is_none_because_compose_does_not_see_it() -> None:
    raw = inspected()
    del raw["Config"]["Labels"][HASH_LABEL]
    assert service(raw).replicas == ()


def test_replicas_are_sorted_by_number_and_not_by_text() -> None:
    assert [each.number for each in service(inspected(10), inspected(2), inspected(1)).replicas] == [1, 2, 10]


@pytest.mark.parametrize(("numbers", "following"), [((), 1), ((1,), 2), ((1, 3), 4), ((7,), 8)])
def test_gaps_are_not_filled(numbers: tuple[int, ...], following: int) -> None:
    assert service(*map(inspected, numbers)).next_number == following


@pytest.mark.parametrize(
    ("status", "health", "healthy"),
    [
        ("running", "", True),
        ("running", "healthy", True),
        ("running", "starting", False),
        ("running", "unhealthy", False),
        ("paused", "", False),
        ("restarting", "", False),
        ("exited", "", False),
        ("created", "", False),
    ],
)
def test_health_is_that_of_a_running_container(status: str, health: str, healthy: bool) -> None:
    assert replica(status=status, health=health).healthy is healthy


def test_the_source_is_healthy_and_rather_one_of_composes_own() -> None:
    found = service(inspected(1, health="unhealthy"), inspected(2, request="r"), inspected(3), inspected(4))
    assert found.source is not None
    assert found.source.number == 3
    assert service(inspected(1, status="exited")).source is None


def test_a_name_is_taken_by_whatever_container_has_it() -> None:
    found = service(inspected(), listed=[{"Id": "x", "Names": ["/other", "/web/other"]}])
    assert (found.has_name("other"), found.has_name("oth")) == (True, False)


def test_those_that_share_a_network_are_found_by_id_and_by_name() -> None:
    listed = [
        {"Id": identity(1), "Names": ["/shop-web-1"], "HostConfig": {"NetworkMode": "shop_front"}},
        {"Id": "b", "Names": ["/by-id"], "HostConfig": {"NetworkMode": f"container:{identity(1)}"}},
        {"Id": "c", "Names": ["/by-name"], "HostConfig": {"NetworkMode": "container:shop-web-1"}},
        {"Id": "d", "Names": ["/alone"], "HostConfig": {"NetworkMode": "host"}},
    ]
    found = service_from(TARGET, [inspected(1)], listed)
    assert found.sharing_network_of(found.replicas[0]) == ["by-id", "by-name"]


@pytest.mark.parametrize("name", ["0123456789ab_shop-web-1", "0123456789ab_x"])
def test_compose_at_work_shows_in_a_name(name: str) -> None:
    assert replica(name=name).being_replaced
    assert not replica().being_replaced


@pytest.mark.parametrize(
    ("raw", "labels"),
    [
        ({"Config": {"Labels": {"a": "1"}}}, {"a": "1"}),
        ({"Labels": {"a": "1"}}, {"a": "1"}),
        ({"Config": {"Labels": None}}, {}),
        ({}, {}),
    ],
)
def test_labels_stand_in_both_shapes(raw: dict[str, object], labels: dict[str, str]) -> None:
    assert labels_of(raw) == labels
