"""Clones beside Docker Compose itself: whatever it does with replicas of its own, it does with them.

Each test is a row of the table in docs/compose-scaling.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import docker
import pytest

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import Endpoint
from compose_agent.dockerd.verbs.compose.siblings import REQUEST_LABEL
from compose_agent.dockerd.verbs.containers import engine_clock
from compose_agent.dockerd.verbs.model import Result
from lab.compose import Project
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually
from tests.integration.scaling import Shop, service

pytestmark = [pytest.mark.engine, pytest.mark.lines]

NAME = "shop"
HEALTHY = '"Health":"healthy"'
COMMANDS = (
    ("restart", "running"), ("pause", "paused"), ("unpause", "running"), ("stop", "exited"),
    ("start", "running"), ("kill", "exited"),
)  # fmt: skip
# db is on both networks, to look up the names of web from there.
MODEL: dict[str, Any] = {
    "services": {
        "db": service(networks=["front", "back"]),
        "web": service(
            command=["sh", "-c", "echo hello; trap 'exit 0' TERM; while :; do sleep 0.1; done"],
            depends_on={"db": {"condition": "service_started", "restart": True}},
            networks={"front": {"aliases": ["www"]}, "back": {"aliases": ["api"]}},
            volumes=["/scratch", "data:/data"],
            healthcheck={"test": ["CMD", "true"], "interval": "1s"},
            cap_drop=["NET_RAW"],
            mem_limit="32m",
            sysctls={"net.core.somaxconn": "256"},
            ulimits={"nofile": 1000},
            tmpfs=["/cache"],
            stop_grace_period="5s",
        ),
    },
    "networks": {"front": {}, "back": {}},
    "volumes": {"data": {}},
}


@pytest.fixture(scope="module")
def module_shop(
    engine: PrivateEngine,
    busybox: str,  # noqa: ARG001 - is there
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    with Project(engine, folder, NAME, MODEL) as project:
        yield Shop(project, engine.host, folder)


@pytest.fixture
def shop(module_shop: Shop) -> Shop:
    """Return the project with one healthy replica of each service, as its file says."""
    module_shop.project.write(MODEL)
    module_shop.compose("up", "--detach")
    assert list(module_shop.replicas("web")) == ["shop-web-1"]
    eventually(lambda: _contains(module_shop.compose("ps", "--format", "json", "web"), HEALTHY), seconds=60)
    return module_shop


@pytest.fixture
def scaled(shop: Shop) -> Shop:
    """Return the project with a clone of web."""
    outcome = shop.scale("web", 2)
    assert (outcome.result, outcome.details["added"]) == (Result.DONE, ["shop-web-2"])
    return shop


def test_a_clone_is_made_like_a_replica_of_compose(scaled: Shop, docker_client: docker.DockerClient) -> None:
    clone = docker_client.containers.get("shop-web-2").attrs
    scaled.compose("up", "--detach", "--scale", "web=1")
    scaled.compose("up", "--detach", "--scale", "web=2")
    composed = docker_client.containers.get("shop-web-2").attrs
    assert clone["Id"] != composed["Id"]
    for config in (clone["Config"], composed["Config"]):
        del config["Hostname"]
    assert clone["Config"]["Labels"].pop(REQUEST_LABEL)
    assert clone["Config"].pop("Image") == clone["Image"]
    assert composed["Config"].pop("Image") != clone["Image"]
    assert clone["Config"] == composed["Config"]
    assert clone["HostConfig"] == composed["HostConfig"]
    assert clone["Image"] == composed["Image"]
    assert [each["Destination"] for each in sorted_mounts(clone)] == ["/data", "/scratch"]
    assert sorted_mounts(clone)[0] == sorted_mounts(composed)[0]
    assert names_on_networks(clone) == names_on_networks(composed)


def test_ps_logs_and_exec_know_a_clone_and_it_becomes_healthy(
    scaled: Shop, docker_client: docker.DockerClient, subtests: pytest.Subtests
) -> None:
    with subtests.test("ps"):
        assert scaled.replicas("web") == {"shop-web-1": "running", "shop-web-2": "running"}
    with subtests.test("logs"):
        eventually(lambda: _contains(scaled.compose("logs", "web"), "web-2  | hello"), seconds=30)
    with subtests.test("exec"):
        name = scaled.compose("exec", "-T", "--index", "2", "web", "hostname").strip()
        assert name == docker_client.containers.get("shop-web-2").short_id
    with subtests.test("health"):
        eventually(lambda: _contains(health(docker_client, "shop-web-2"), "healthy"), seconds=60)


@pytest.mark.parametrize("by_file", [True, False], ids=["by-file", "by-project-name"])
def test_a_command_for_the_service_means_a_clone_too(
    scaled: Shop, docker_client: docker.DockerClient, subtests: pytest.Subtests, by_file: bool
) -> None:
    for word, state in COMMANDS:
        with subtests.test(word):
            before = started_at(docker_client, "shop-web-2")
            scaled.compose(word, "web", by_file=by_file)
            assert scaled.replicas("web") == {"shop-web-1": state, "shop-web-2": state}
            assert (started_at(docker_client, "shop-web-2") != before) == (word in ("start", "restart"))


@pytest.mark.parametrize("by_file", [True, False], ids=["by-file", "by-project-name"])
def test_down_removes_clones_and_the_networks(
    scaled: Shop, docker_client: docker.DockerClient, by_file: bool
) -> None:
    scaled.compose("down", by_file=by_file)
    label = {"label": f"com.docker.compose.project={NAME}"}
    assert docker_client.containers.list(all=True, filters=label) == []
    assert docker_client.networks.list(filters=label) == []


def test_a_restart_of_what_it_depends_on_restarts_a_clone(
    scaled: Shop, docker_client: docker.DockerClient
) -> None:
    before = started_at(docker_client, "shop-web-2")
    scaled.compose("restart", "db")
    assert started_at(docker_client, "shop-web-2") != before


def test_up_with_a_count_treats_a_clone_like_any_replica(
    scaled: Shop, docker_client: docker.DockerClient, subtests: pytest.Subtests
) -> None:
    before = scaled.ids("web"), scaled.ids("db")
    with subtests.test("the same count keeps everything as it is"):
        scaled.compose("up", "--detach", "--scale", "web=2")
        assert (scaled.ids("web"), scaled.ids("db")) == before
    with subtests.test("the same count starts a clone that has ended"):
        docker_client.containers.get("shop-web-2").stop()
        scaled.compose("up", "--detach", "--scale", "web=2")
        assert scaled.ids("web") == before[0]
        assert scaled.replicas("web")["shop-web-2"] == "running"
    with subtests.test("a higher count adds to it"):
        scaled.compose("up", "--detach", "--scale", "web=3")
        assert set(before[0]) < set(scaled.ids("web"))
    with subtests.test("a lower count removes the highest numbers, whoever made them"):
        assert scaled.scale("web", 4).result is Result.DONE
        scaled.compose("up", "--detach", "--scale", "web=2")
        assert scaled.ids("web") == before[0]


@pytest.mark.parametrize("words", [(), ("--scale", "db=2")], ids=["plain", "another-service"])
def test_up_without_a_count_removes_a_clone_and_nothing_else(shop: Shop, words: tuple[str, ...]) -> None:
    before = shop.ids("web")
    assert shop.scale("web", 2).result is Result.DONE
    shop.compose("up", "--detach", *words)
    assert shop.ids("web") == before


def test_up_of_another_service_without_its_dependencies_keeps_a_clone(scaled: Shop) -> None:
    before = scaled.ids("web")
    scaled.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", "db=2", "db")
    assert scaled.ids("web") == before


def test_a_changed_file_recreates_a_clone_like_the_others_unless_told_not_to(
    scaled: Shop, docker_client: docker.DockerClient
) -> None:
    before = scaled.ids("web")
    changed = MODEL["services"] | {"web": MODEL["services"]["web"] | {"environment": {"NEW": "1"}}}
    scaled.project.write(MODEL | {"services": changed})
    scaled.compose("up", "--detach", "--no-recreate", "--scale", "web=2")
    assert scaled.ids("web") == before
    scaled.compose("up", "--detach", "--scale", "web=2")
    assert not set(scaled.ids("web")) & set(before)
    for number in (1, 2):
        assert "NEW=1" in docker_client.containers.get(f"shop-web-{number}").attrs["Config"]["Env"]
    # Of replicas that are all out of date, Compose does not always keep the first.
    scaled.compose("up", "--detach")


def test_every_alias_reaches_every_replica(
    shop: Shop, docker_client: docker.DockerClient, subtests: pytest.Subtests
) -> None:
    assert shop.scale("web", 3).result is Result.DONE
    names = [f"shop-web-{number}" for number in (1, 2, 3)]
    front, back = ({address_on(docker_client, name, net) for name in names} for net in ("front", "back"))
    # A name that is known on both networks is answered from one of them.
    for alias, expected in (("web", (front, back)), ("www", (front,)), ("api", (back,))):
        with subtests.test(alias):
            eventually(partial(_resolves, shop, alias, *expected), seconds=30)
    with subtests.test("its own name"):
        own = [{address_on(docker_client, names[2], network)} for network in ("front", "back")]
        eventually(partial(_resolves, shop, names[2], *own), seconds=30)


def test_a_clone_has_the_image_of_its_siblings_after_the_tag_has_moved(
    shop: Shop, docker_client: docker.DockerClient, busybox: str
) -> None:
    image = docker_client.images.get(busybox)
    other = docker_client.containers.get("shop-db-1").commit("compose-agent-lab/other")
    try:
        other.tag(busybox)
        assert shop.scale("web", 2).result is Result.DONE
        assert docker_client.containers.get("shop-web-2").attrs["Image"] == image.id
    finally:
        image.tag(busybox)


def test_no_two_replicas_share_a_volume_without_a_name_even_after_a_recreation(
    shop: Shop, docker_client: docker.DockerClient
) -> None:
    shop.compose("up", "--detach", "--wait", "--force-recreate", "web")
    assert shop.scale("web", 3).result is Result.DONE
    volumes = [
        sorted_mounts(docker_client.containers.get(f"shop-web-{number}").attrs)[1]["Name"]
        for number in (1, 2, 3)
    ]
    assert len(set(volumes)) == 3
    # What belonged to a clone alone goes with it.
    assert shop.scale("web", 1).result is Result.DONE
    left = {volume.name for volume in docker_client.volumes.list()}
    assert (volumes[0] in left, left & set(volumes[1:])) == (True, set())


def test_fewer_replicas_are_those_with_the_lowest_numbers_and_the_others_stop_in_order(shop: Shop) -> None:
    assert shop.scale("web", 4).result is Result.DONE
    client = EngineClient(Endpoint(shop.host, "test"))
    since = engine_clock(client)
    outcome = shop.scale("web", 2)
    assert outcome.result is Result.DONE
    assert outcome.details["removed"] == ["shop-web-3", "shop-web-4"]
    told = client.past_events(since, engine_clock(client)).events
    client.close()
    steps = [(e.attributes["name"], e.action) for e in told if e.action in ("stop", "destroy")]
    assert steps == [
        ("shop-web-4", "stop"),
        ("shop-web-4", "destroy"),
        ("shop-web-3", "stop"),
        ("shop-web-3", "destroy"),
    ]


def test_the_number_that_there_is_changes_nothing(scaled: Shop) -> None:
    before = scaled.ids("web")
    outcome = scaled.scale("web", 2)
    assert (outcome.result, outcome.details["added"], outcome.details["removed"]) == (Result.DONE, [], [])
    assert scaled.ids("web") == before


def sorted_mounts(attrs: dict[str, Any]) -> list[dict[str, Any]]:
    return sorted(attrs["Mounts"], key=lambda mount: str(mount["Destination"]))


def names_on_networks(attrs: dict[str, Any]) -> dict[str, list[str]]:
    own = attrs["Id"][:12]
    networks = attrs["NetworkSettings"]["Networks"].items()
    return {network: [name for name in each["Aliases"] if name != own] for network, each in networks}


def started_at(docker_client: docker.DockerClient, name: str) -> str:
    return str(docker_client.containers.get(name).attrs["State"]["StartedAt"])


def health(docker_client: docker.DockerClient, name: str) -> str:
    return str(docker_client.containers.get(name).attrs["State"]["Health"]["Status"])


def address_on(docker_client: docker.DockerClient, name: str, network: str) -> str:
    networks = docker_client.containers.get(name).attrs["NetworkSettings"]["Networks"]
    return str(networks[f"{NAME}_{network}"]["IPAddress"])


def _resolves(shop: Shop, name: str, *one_of: set[str]) -> None:
    answer = shop.compose("exec", "-T", "db", "nslookup", name)
    # The first address is that of the name server itself.
    assert set(re.findall(r"^Address: +([0-9.]+)$", answer, re.MULTILINE)) - {"127.0.0.11"} in one_of


def _contains(text: str, wanted: str) -> None:
    assert wanted in text
