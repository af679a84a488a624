"""The log forwarder against real Engines: every line of every container, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import docker
import pytest

from lab.engine import PrivateEngine
from lab.shipping import Shipping
from tests.integration.metrics import eventually

pytestmark = [pytest.mark.engine, pytest.mark.lines]

SHORT_LIVED = 48

# Each line is a MiB and unlike the others, on both streams at once.
TALKER = """
talk() { awk -v who=$1 'BEGIN { s = "0123456789abcde" who; for (i = 0; i < 16; i++) s = s s;
         for (n = 0; n < 12; n++) { print who n ":" s ":" n; fflush() } }'; }
talk o & talk e >&2 & wait
"""


@pytest.fixture
def shipping(engine: PrivateEngine, tmp_path: Path) -> Iterator[Shipping]:
    started = Shipping(engine, tmp_path, ["--from=auto"])
    with started.agent:
        started.agent.wait_ready()
        yield started


def run(client: docker.DockerClient, image: str, name: str, command: list[str], **more: object) -> None:
    client.containers.run(image, command, name=name, detach=True, **more)


def test_containers_that_live_for_milliseconds_are_shipped_to_their_last_unterminated_line(
    shipping: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    def live(number: int) -> None:
        end = "" if number % 2 else "\\n"
        command = ["printf", f"short {number}{end}"]
        run(docker_client, busybox, f"short-{number}", command, auto_remove=True)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(live, range(SHORT_LIVED)))

    def all_are_there() -> None:
        seen = Counter(each["log"] for each in shipping.events() if each["log"].startswith("short "))
        assert seen == Counter(f"short {number}" for number in range(SHORT_LIVED))

    eventually(all_are_there, seconds=20)


def test_long_lines_on_both_streams_are_whole_through_rotations_and_kills(
    shipping: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    options = {"max-size": "3m", "max-file": "12"}  # all of it, whenever it is read
    run(
        docker_client,
        busybox,
        "talker",
        ["sh", "-c", TALKER],
        log_config=docker.types.LogConfig(type="json-file", config=options),
    )
    for _ in range(3):
        shipping.agent.kill()
        shipping.agent.start()
    wanted = Counter(
        f"{who}{number}:{f'0123456789abcde{who}' * 65536}:{number}" for who in "oe" for number in range(12)
    )

    def all_are_whole() -> None:
        assert Counter(shipping.lines("talker")) == wanted

    try:
        eventually(all_are_whole, seconds=40)
    finally:
        docker_client.containers.get("talker").remove(force=True)


def test_every_event_of_a_compose_project_carries_project_service_and_number(
    shipping: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    names = [f"shop-service{number}-1" for number in range(10)]
    for number, name in enumerate(names):
        labels = {
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": f"service{number}",
            "com.docker.compose.container-number": "1",
        }
        run(docker_client, busybox, name, ["echo", f"hello from {name}"], labels=labels)

    def all_are_labelled() -> None:
        found = [each for each in shipping.events() if each["log"].startswith("hello from shop")]
        assert sorted(each["log"].removeprefix("hello from ") for each in found) == sorted(names)
        for each in found:
            service = each["container_name"].split("-")[1]
            assert (each["compose_project"], each["compose_service"]) == ("shop", service)
            assert each["compose_number"] == "1"

    try:
        eventually(all_are_labelled, seconds=20)
    finally:
        for name in names:
            docker_client.containers.get(name).remove(force=True)


def test_a_container_that_opted_out_is_not_shipped(
    shipping: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    run(docker_client, busybox, "quiet", ["echo", "not me"], labels={"compose-agent.logs": "false"})
    run(docker_client, busybox, "loud", ["echo", "but me"])
    try:
        eventually(lambda: _assert(shipping.lines("loud") == ["but me"]), seconds=20)
        assert shipping.lines("quiet") == []
    finally:
        for name in ("quiet", "loud"):
            docker_client.containers.get(name).remove(force=True)


def _assert(holds: bool) -> None:
    assert holds
