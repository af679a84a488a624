"""The log forwarder against real Engines: every line of every container, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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


def test_each_hint_changes_only_its_own_container(
    shipping: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    line = '{"level":"warn","user":"ann@example.org"}'
    hints = {
        "plain": {},
        "parsed": {"compose-agent.logs.parser": "json"},
        "redacted": {"compose-agent.logs.redact": "email"},
        "merged": {"compose-agent.logs.multiline": r"^\{"},
    }
    for name, labels in hints.items():
        run(docker_client, busybox, name, ["sh", "-c", f"echo '{line}'; echo '  more'"], labels=labels)

    def each_has_its_own() -> None:
        found = {name: [each for each in shipping.events() if _name(each) == name] for name in hints}
        assert [each["log"] for each in found["plain"]] == [line, "  more"]
        assert "fields" not in found["plain"][0]
        assert [each["log"] for each in found["parsed"]] == [line, "  more"]
        assert found["parsed"][0]["fields"]["user"] == "ann@example.org"
        assert "ann@" not in found["redacted"][0]["log"]
        assert "fields" not in found["redacted"][0]
        assert [each["log"] for each in found["merged"]] == [f"{line}\n  more"]

    try:
        eventually(each_has_its_own, seconds=20)
    finally:
        for name in hints:
            docker_client.containers.get(name).remove(force=True)


def test_a_change_of_the_configuration_is_seen_within_two_seconds(
    engine: PrivateEngine, docker_client: docker.DockerClient, busybox: str, tmp_path: Path
) -> None:
    file = tmp_path / "compose-agent.yml"
    file.write_text("log.level: info\n")
    shipping = Shipping(engine, tmp_path, [f"--config.file={file}"])
    talk = "while true; do echo 'ERROR it burns'; sleep 0.1; done"
    with shipping.agent:
        shipping.agent.wait_ready()
        run(docker_client, busybox, "burning", ["sh", "-c", talk])
        try:
            eventually(lambda: _assert(bool(shipping.lines("burning"))), seconds=20)
            file.write_text("logs.level: auto\n")
            changed = datetime.now(UTC)
            eventually(lambda: _assert(any("fields" in each for each in shipping.events())), seconds=20)
            first = next(each for each in shipping.events() if "fields" in each)
        finally:
            docker_client.containers.get("burning").remove(force=True)
        seen = list(shipping.events())
    assert datetime.fromisoformat(first["time"]) - changed < timedelta(seconds=2)
    assert len({each["event_id"] for each in seen}) == len(seen)


def _name(event: dict[str, Any]) -> str:
    return str(event["container_name"]).removeprefix("/")


def _assert(holds: bool) -> None:
    assert holds
