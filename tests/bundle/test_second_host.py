"""The roles of a further host, published on an address of it, each asking for a password."""

from __future__ import annotations

import random
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.bundle import IMAGE, Bundle
from lab.engine import PrivateEngine
from lab.loopback import DIRECT

pytestmark = pytest.mark.engine

PORTS = {"exporter": 9417, "logs": 9418, "remediation": 9419}
ROLES = {"broker", *PORTS}
CALL_SECONDS = 20
# All of 127/8 is this host: an address that nobody else has taken.
ADDRESS = f"127.{random.randint(10, 250)}.{random.randint(0, 250)}.2"  # noqa: S311 - any will do


@pytest.fixture(scope="module")
def second(
    builder: PrivateEngine, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bundle]:
    assert bundle.client.images.get(IMAGE)
    made = Bundle(
        builder,
        tmp_path_factory.mktemp("second"),
        name="second",
        files=("docker-compose.yml", "compose/second-host.yml"),
        variables={"SECOND_HOST_ADDRESS": ADDRESS},
    )
    with made:
        made.up()
        yield made


def status(service: str, authorization: str = "") -> int:
    request = urllib.request.Request(f"http://{ADDRESS}:{PORTS[service]}/metrics")
    if authorization:
        request.add_header("Authorization", authorization)
    try:
        with DIRECT.open(request, timeout=CALL_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_only_the_roles_run_and_all_are_healthy(second: Bundle) -> None:
    found = {each.labels["com.docker.compose.service"]: each for each in second.containers()}
    assert set(found) == ROLES
    assert {each.attrs["State"]["Health"]["Status"] for each in found.values()} == {"healthy"}


@pytest.mark.parametrize("service", PORTS)
def test_prometheus_of_the_first_host_gets_in_and_nobody_else(second: Bundle, service: str) -> None:
    assert status(service) == 401
    assert status(service, second.authorization("prometheus")) == 200


def test_nothing_is_asked_that_is_not_reached_from_here(second: Bundle) -> None:
    said = second.compose("logs", "--no-color", "remediation")
    assert "cannot be asked" not in said, Path("compose/second-host.yml")
