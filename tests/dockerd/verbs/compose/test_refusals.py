from __future__ import annotations

from typing import Any

import pytest

from compose_agent.dockerd.model import parse_time
from compose_agent.dockerd.verbs.compose.refusals import Refusal, of_growth, of_service, of_shrinking
from compose_agent.dockerd.verbs.compose.siblings import HASH_LABEL, SWARM_LABEL, Service
from tests.dockerd.verbs.compose.samples import CREATED, NEVER, identity, inspected, service

NOW = (parse_time(CREATED) or 0.0) + 30.0
LATER = NOW + 60.0


def endpoint(**wished: Any) -> dict[str, Any]:
    return {"shop_front": {"IPAMConfig": wished}}


def sentences(found: list[Refusal]) -> str:
    return "\n".join(each.sentence for each in found)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"name": "the-one"}, "the-one does not have a name that Compose gives"),
        ({"name": "shop-web-2"}, "does not have a name that Compose gives"),
        ({"host": {"NetworkMode": "container:abc"}}, "no network of its own"),
        ({"host": {"NetworkMode": "host"}}, "on the host's network"),
        ({"host": {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}}, "the host's port 8080"),
        ({"host": {"PortBindings": {"80/tcp": [{"HostPort": "8080-8080"}]}}}, "the host's port 8080-8080"),
        ({"networks": endpoint(IPv4Address="10.0.0.9")}, "fixed address 10.0.0.9 in shop_front"),
        ({"networks": endpoint(IPv6Address="fd00::9")}, "fixed address fd00::9"),
        ({"networks": endpoint(LinkLocalIPs=["169.254.8.8"])}, "fixed address 169.254.8.8"),
        ({"config": {"MacAddress": "02:42:ac:11:65:43"}}, "fixed MAC address 02:42:ac:11:65:43"),
        ({"host": {"VolumesFrom": ["0123456789abcdef:rw"]}}, "volumes of another container (0123456789ab)"),
        ({"host": {"AutoRemove": True}}, "removed as soon as it ends"),
        ({"status": "exited"}, "has no healthy replica to copy (shop-web-1 is exited)"),
        ({"health": "starting"}, "has no healthy replica to copy (shop-web-1 is starting)"),
    ],
)
def test_what_cannot_be_cloned_is_refused_with_a_remedy(more: dict[str, Any], reason: str) -> None:
    found = of_growth(service(inspected(**more)), [])
    assert [reason in each.sentence for each in found] == [True], sentences(found)
    assert ": " in found[0].sentence
    assert not found[0].compose_can


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"health": "healthy"},
        {"name": "shop_web_1"},
        {"host": {"NetworkMode": "none"}},
        {"host": {"PortBindings": {"80/tcp": [{"HostPort": ""}], "81/tcp": None}}},
        {"host": {"PortBindings": {"80/tcp": [{"HostPort": "0"}, {"HostPort": "8080-8089"}]}}},
        {"networks": {"shop_front": {"IPAMConfig": None}, "gone": None}},
    ],
)
def test_what_can_be_cloned_is_not_refused(more: dict[str, Any]) -> None:
    assert of_growth(service(inspected(**more)), []) == []


def test_files_that_compose_put_there_are_a_reason_that_compose_can_remove() -> None:
    found = of_growth(service(inspected()), ["/etc/a", "/b", "/c", "/d"])
    assert [each.compose_can for each in found] == [True]
    assert "/etc/a, /b, /c into" in found[0].sentence
    assert [each.compose_can for each in of_growth(service(inspected()), None)] == [True]


def test_replicas_of_two_hashes_are_refused() -> None:
    two = service(inspected(1), inspected(2, labels={HASH_LABEL: "h2"}))
    assert "different versions of its Compose file" in sentences(of_growth(two, []))
    assert of_shrinking(two, 1) == []


def guest(number: int) -> list[dict[str, Any]]:
    mode = {"NetworkMode": f"container:{identity(number)}"}
    return [{"Id": identity(number)}, {"Id": "g", "Names": ["/guest"], "HostConfig": mode}]


def test_whose_network_is_used_by_another_is_neither_cloned_nor_removed() -> None:
    two = service(inspected(1), inspected(2), listed=guest(2))
    assert "guest would lose or mistake the network" in sentences(of_growth(two, []))
    assert "guest would lose or mistake the network" in sentences(of_shrinking(two, 1))
    assert of_shrinking(service(inspected(1), inspected(2), listed=guest(1)), 1) == []


@pytest.mark.parametrize(
    ("states", "to", "refused"),
    [
        (("running", "running"), 1, False),
        (("exited", "running"), 1, True),
        (("running", "exited"), 1, False),
        (("exited", "running", "running"), 2, False),
        (("exited", "exited"), 1, False),
        (("running", "running"), 2, False),
    ],
)
def test_the_last_healthy_one_is_never_removed(states: tuple[str, ...], to: int, refused: bool) -> None:
    replicas = [inspected(number, status=state) for number, state in enumerate(states, 1)]
    assert bool(of_shrinking(service(*replicas), to)) is refused


LEAVING = {"Id": "x", "State": "removing", "Labels": {"com.docker.compose.project": "shop"}}
ONE_OFF = {
    "Id": "x",
    "Labels": {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.oneoff": "True",
    },
}
MADE: dict[str, Any] = {"status": "created", "started": NEVER}


@pytest.mark.parametrize(
    ("found", "now", "reason"),
    [
        (service(), NOW, "there is no container of the service shop/web"),
        (service(listed=[ONE_OFF]), NOW, "has only one-off containers"),
        (service(inspected(labels={SWARM_LABEL: "s1"})), NOW, "belongs to Swarm"),
        (service(inspected(status="removing")), NOW, "is being removed or replaced"),
        (service(inspected(name="0123456789ab_shop-web-1")), NOW, "is being removed or replaced"),
        (service(inspected(), listed=[LEAVING]), NOW, "the project shop is being taken down"),
        (service(inspected(1), inspected(2, **MADE)), NOW, "shop-web-2 was made a moment ago"),
        (service(inspected(1), inspected(2, **MADE)), LATER, ""),
        (service(inspected(1), inspected(2, request="r", **MADE)), NOW, ""),
        (service(inspected(1), inspected(2, error="no port", **MADE)), NOW, ""),
        (service(inspected(), listed=[LEAVING | {"Labels": {}}]), NOW, ""),
    ],
)
def test_a_service_that_somebody_else_is_at_is_left_alone(found: Service, now: float, reason: str) -> None:
    refused = of_service(found, now)
    assert [reason in each.sentence for each in refused] == ([True] if reason else [])
