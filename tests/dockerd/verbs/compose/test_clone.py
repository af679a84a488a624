from __future__ import annotations

from typing import Any

import pytest

from compose_agent.dockerd.verbs.compose.clone import CreatePlan, clone_body, clone_name, version_of
from compose_agent.dockerd.verbs.compose.siblings import REPLACE_LABEL, REQUEST_LABEL
from tests.dockerd.verbs.compose.samples import IMAGE, identity, inspected, replica

NEW, OLD = (1, 51), (1, 41)
ANONYMOUS = "ab" * 32
TWO_NETWORKS = {
    "shop_back": {"Aliases": ["shop-web-1", "web", "api", identity(1)[:12]], "GwPriority": 0},
    "shop_front": {
        "Aliases": ["shop-web-1", "web"],
        "DNSNames": ["shop-web-1", "web", identity(1)[:12]],
        "DriverOpts": {"a": "b"},
        "GwPriority": 5,
        "IPAMConfig": {},
        "IPAddress": "10.0.0.2",
        "Links": ["shop-db-1:db"],
        "MacAddress": "02:42:0a:00:00:02",
        "NetworkID": "n",
    },
}


def plan(version: tuple[int, int] = NEW, **more: Any) -> CreatePlan:
    return clone_body(replica(1, **more), 4, "wish-1", version)


def test_a_clone_has_the_image_by_id_and_everything_else_of_its_source() -> None:
    made = plan(config={"Cmd": ["serve"], "StopTimeout": 5}, host={"Memory": 1, "CapDrop": ["ALL"]})
    assert made.name == "shop-web-4"
    assert made.body["Image"] == IMAGE
    assert (made.body["Cmd"], made.body["StopTimeout"], made.body["Env"]) == (["serve"], 5, ["A=1"])
    assert (made.body["HostConfig"]["Memory"], made.body["HostConfig"]["CapDrop"]) == (1, ["ALL"])


def test_labels_are_those_of_the_source_but_for_number_request_and_replacement() -> None:
    source = inspected(1, labels={REPLACE_LABEL: "web-1", "own": "label"}, request="earlier")
    labels = plan(labels={REPLACE_LABEL: "web-1", "own": "label"}, request="earlier").body["Labels"]
    changed = {"com.docker.compose.container-number": "4", REQUEST_LABEL: "wish-1"}
    expected = source["Config"]["Labels"] | changed
    del expected[REPLACE_LABEL]
    assert labels == expected


def test_the_source_is_not_changed() -> None:
    source = replica(1, config={"Volumes": {"/a": {}}}, host={"Binds": [f"{ANONYMOUS}:/b"]})
    before = repr(source.raw)
    clone_body(source, 2, "wish-1", NEW)
    assert repr(source.raw) == before


def test_a_host_name_is_kept_only_when_somebody_gave_it() -> None:
    assert "Hostname" not in plan().body
    assert plan(config={"Hostname": "shop.example"}).body["Hostname"] == "shop.example"


@pytest.mark.parametrize(
    ("mount", "expected"),
    [
        (
            {"Type": "volume", "Source": ANONYMOUS, "Target": "/a"},
            {"Type": "volume", "Target": "/a"},
        ),
        ({"Type": "volume", "Source": "data", "Target": "/a"}, None),
        ({"Type": "bind", "Source": f"/{ANONYMOUS}", "Target": "/a"}, None),
        ({"Type": "volume", "Target": "/a", "VolumeOptions": {}}, None),
        ({"Type": "tmpfs", "Target": "/a"}, None),
    ],
)
def test_a_volume_without_a_name_is_made_anew(mount: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert plan(host={"Mounts": [mount]}).body["HostConfig"]["Mounts"] == [expected or mount]


def test_a_bound_volume_without_a_name_is_made_anew() -> None:
    binds = [f"{ANONYMOUS}:/a:rw", "data:/data:rw", "/srv/x:/x:ro"]
    body = plan(host={"Binds": binds}, config={"Volumes": {"/image": {}}}).body
    assert body["HostConfig"]["Binds"] == binds[1:]
    assert body["Volumes"] == {"/image": {}, "/a": {}}


def test_an_endpoint_has_the_wishes_and_not_what_came_of_them() -> None:
    endpoints = plan(networks=TWO_NETWORKS).body["NetworkingConfig"]["EndpointsConfig"]
    assert endpoints == {
        "shop_back": {"Aliases": ["shop-web-4", "web", "api"]},
        "shop_front": {
            "Aliases": ["shop-web-4", "web"],
            "DriverOpts": {"a": "b"},
            "GwPriority": 5,
            "Links": ["shop-db-1:db"],
        },
    }


@pytest.mark.parametrize(("version", "at_once"), [((1, 44), 2), ((1, 51), 2), ((1, 43), 1), (OLD, 1)])
def test_older_engines_take_one_network_and_the_others_afterwards(
    version: tuple[int, int], at_once: int
) -> None:
    made = plan(version, networks=TWO_NETWORKS)
    first = made.body["NetworkingConfig"]["EndpointsConfig"]
    assert len(first) == at_once
    assert "shop_front" in first  # that of NetworkMode
    assert {*first, *made.networks} == {*TWO_NETWORKS}
    assert not {*first} & {*made.networks}


def test_without_a_network_there_are_no_names() -> None:
    networks: dict[str, Any] = {"none": {"Aliases": None}}
    made = plan(host={"NetworkMode": "none"}, networks=networks)
    assert made.body["NetworkingConfig"]["EndpointsConfig"] == {}


def test_on_the_default_bridge_there_are_no_names() -> None:
    networks: dict[str, Any] = {"bridge": {"Aliases": None}}
    made = plan(host={"NetworkMode": "bridge", "Links": ["/shop-db-1:/shop-web-1/db"]}, networks=networks)
    assert made.body["NetworkingConfig"]["EndpointsConfig"] == {"bridge": {}}
    assert made.body["HostConfig"]["Links"] == ["shop-db-1:db"]


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [("shop-web-1", 12, "shop-web-12"), ("shop_web_1", 2, "shop_web_2"), ("s1-web1-1", 2, "s1-web1-2")],
)
def test_a_name_has_the_separator_of_the_source(name: str, number: int, expected: str) -> None:
    assert clone_name(replica(1, name=name), number) == expected


def test_versions_are_compared_as_numbers() -> None:
    assert version_of("1.9") < version_of("1.44") == (1, 44)
