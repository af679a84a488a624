"""Services of real Compose projects that cannot be scaled by cloning: each is refused with its reason.

Each test is a row of the second table in docs/compose-scaling.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docker
import pytest

from compose_agent.dockerd.verbs.model import Result
from compose_agent.dockerd.verbs.optin import LABEL
from lab.compose import Project
from lab.engine import PrivateEngine
from tests.integration.metrics import eventually
from tests.integration.scaling import Shop, service

pytestmark = [pytest.mark.engine, pytest.mark.lines]

NAME = "stubborn"
MODEL: dict[str, Any] = {
    "services": {
        "port": service(ports=["18099:80"]),
        "named": service(container_name="the-only-one"),
        "address": service(networks={"fixed": {"ipv4_address": "10.77.0.77"}}),
        "host": service(network_mode="host"),
        "guest": service(network_mode="service:landlord"),
        "landlord": service(),
        "config": service(configs=[{"source": "greeting", "target": "/etc/greeting"}]),
        "secret": service(secrets=["password"]),
        "mac": service(mac_address="02:42:ac:11:65:43"),
        "borrower": service(volumes_from=["landlord"]),
        "sick": service(healthcheck={"test": ["CMD", "false"], "interval": "1s", "retries": 1}),
        "ended": service(command=["true"]),
        "private": service(labels={LABEL: "restart"}),
        "mixed": service(),
        "tool": service(profiles=["tools"]),
        "ranged": service(ports=["127.0.0.1:18181-18182:80"]),
        "two": service(),
    },
    "networks": {"fixed": {"ipam": {"config": [{"subnet": "10.77.0.0/24"}]}}},
    "configs": {"greeting": {"content": "hello"}},
    "secrets": {"password": {"environment": "HOME"}},
}
REFUSED = [
    ("port", "publishes 80/tcp on the host's port 18099"),
    ("named", "the-only-one does not have a name that Compose gives"),
    ("address", "has the fixed address 10.77.0.77 in stubborn_fixed"),
    ("host", "is on the host's network"),
    ("guest", "has no network of its own but that of another container"),
    ("landlord", "stubborn-guest-1 would lose or mistake the network"),
    ("config", "Compose has put /etc/greeting into the replicas"),
    ("secret", "Compose has put /run/secrets/password into the replicas"),
    ("mac", "has the fixed MAC address 02:42:ac:11:65:43"),
    ("borrower", "has the volumes of another container"),
    ("sick", "has no healthy replica to copy (stubborn-sick-1 is unhealthy)"),
    ("ended", "has no healthy replica to copy (stubborn-ended-1 is exited)"),
    ("private", "does not allow scale"),
    ("mixed", "were made from different versions of its Compose file"),
    ("tool", "has only one-off containers"),
    ("unknown", "there is no container of the service"),
]


@pytest.fixture(scope="module")
def shop(
    engine: PrivateEngine,
    busybox: str,  # noqa: ARG001 - is there
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("stubborn")
    with Project(engine, folder, NAME, MODEL) as project:
        project.compose("up", "--detach")
        project.compose("run", "--detach", "--name", "one-off", "tool")
        changed = MODEL["services"] | {"mixed": service(environment={"NEW": "1"})}
        project.write(MODEL | {"services": changed})
        project.compose("up", "--detach", "--no-deps", "--no-recreate", "--scale", "mixed=2", "mixed")
        project.write(MODEL)
        yield Shop(project, engine.host, folder)


@pytest.mark.parametrize(("name", "reason"), REFUSED, ids=[name for name, _ in REFUSED])
def test_a_service_that_cannot_be_cloned_is_refused(
    shop: Shop, docker_client: docker.DockerClient, name: str, reason: str
) -> None:
    before = everything(docker_client)

    def check() -> None:
        outcome = shop.scale(name, 3, through="engine")
        assert outcome.result is Result.REFUSED
        assert reason in outcome.reason

    eventually(check, seconds=60)  # until the sick one is seen to be sick
    assert everything(docker_client) == before


@pytest.mark.parametrize("name", ["config", "secret"])
def test_compose_itself_scales_where_files_are_put_into_containers(shop: Shop, name: str) -> None:
    outcome = shop.scale(name, 2)
    assert (outcome.result, outcome.details["through"]) == (Result.DONE, "cli")
    path = "/etc/greeting" if name == "config" else "/run/secrets/password"
    assert shop.compose("exec", "-T", "--index", "2", name, "cat", path).strip()
    assert shop.scale(name, 1, through="cli").result is Result.DONE
    assert list(shop.replicas(name)) == [f"{NAME}-{name}-1"]


def test_compose_is_not_used_when_its_files_are_others_by_now(shop: Shop) -> None:
    changed = MODEL["services"] | {"config": MODEL["services"]["config"] | {"environment": {"NEW": "1"}}}
    shop.project.write(MODEL | {"services": changed})
    try:
        outcome = shop.scale("config", 2)
    finally:
        shop.project.write(MODEL)
    assert outcome.result is Result.REFUSED
    assert "is not what its replicas were made from" in outcome.reason


def test_a_clone_that_cannot_be_started_is_removed_again_and_the_reason_kept(shop: Shop) -> None:
    outcome = shop.scale("ranged", 3)
    assert outcome.result is Result.FAILED
    assert "stubborn-ranged-3 was made but could not be started, and is removed again" in outcome.reason
    assert "allocated" in outcome.reason
    assert shop.replicas("ranged") == {f"{NAME}-ranged-1": "running", f"{NAME}-ranged-2": "running"}


def test_the_last_healthy_replica_is_never_removed(shop: Shop, docker_client: docker.DockerClient) -> None:
    assert shop.scale("two", 2).result is Result.DONE
    docker_client.containers.get(f"{NAME}-two-1").stop(timeout=0)
    outcome = shop.scale("two", 1)
    assert outcome.result is Result.REFUSED
    assert "the last healthy replica of stubborn/two would be removed" in outcome.reason
    assert shop.replicas("two") == {f"{NAME}-two-1": "exited", f"{NAME}-two-2": "running"}


def everything(docker_client: docker.DockerClient) -> set[str]:
    return {str(container.id) for container in docker_client.containers.list(all=True)}
