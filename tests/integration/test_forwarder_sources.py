"""Logs of other drivers than json-file, and by the Engine's API, against real Engines: every line, once."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from lab.agent import Agent
from lab.engine import PrivateEngine
from lab.shipping import Shipping
from tests.integration.metrics import eventually

pytestmark = [pytest.mark.engine, pytest.mark.lines]

LONG, SHORT = 6, 4000
# Lines of a MiB, each unlike the others, on both streams at once, and short ones around them. The driver
# json-file spoils what is no ASCII where it cuts lines.
TALKER = f"""
talk() {{ awk -v who=$1 'BEGIN {{ s = "0123456789a@@" who; for (i = 0; i < 16; i++) s = s s;
         for (n = 0; n < {LONG}; n++) {{ print who n ":" s ":" n; fflush() }}
         for (n = 0; n < {SHORT}; n++) {{ print who " short " n; fflush() }} }}'; }}
talk o & talk e >&2 & wait; printf '\\377\\376raw\\n\\nunterminated'
"""
ACCENTED = TALKER.replace("@@", "\\303\\251")
# Docker's json-file driver writes what is no UTF-8 in the same way.
END = ["\ufffd\ufffdraw", "", "unterminated"]


def wanted_of(odd: str) -> Counter[str]:
    """Return the lines of the talker with what stands for @@ in it."""
    return Counter(
        [
            f"{who}{number}:{f'0123456789a{odd}{who}' * 65536}:{number}"
            for who in "oe"
            for number in range(LONG)
        ]
        + [f"{who} short {number}" for who in "oe" for number in range(SHORT)]
        + END
    )


@pytest.fixture
def files(engine: PrivateEngine, tmp_path: Path) -> Iterator[Shipping]:
    """Ship from Docker's folders, and by the API what is not in them."""
    started = Shipping(engine, tmp_path, ["--from=beginning", "--engine"])
    with started.agent:
        yield started


@pytest.fixture
def api(engine: PrivateEngine, tmp_path: Path) -> Iterator[Shipping]:
    """Ship by the API alone: the folder that is said to be Docker's is empty."""
    empty = tmp_path / "empty"
    empty.mkdir()
    started = Shipping(engine, tmp_path, ["--from=beginning", "--engine", f"--docker-root={empty}"])
    with started.agent:
        yield started


@contextmanager
def running(
    client: docker.DockerClient,
    image: str,
    name: str,
    script: str,
    driver: str,
    *,
    tty: bool = False,
    options: dict[str, str] | None = None,
) -> Iterator[docker.models.containers.Container]:
    config = docker.types.LogConfig(type=driver, config=options or {})
    container = client.containers.run(
        image, ["sh", "-c", script], name=name, detach=True, tty=tty, log_config=config
    )
    try:
        yield container
    finally:
        container.remove(force=True)


def kill_often(agent: Agent, times: int = 4) -> None:
    for _ in range(times):
        agent.kill()
        agent.start()


def all_are_there(shipping: Shipping, name: str, wanted: Counter[str]) -> None:
    seen = Counter(shipping.lines(name))
    lost, more = wanted - seen, seen - wanted
    shown = {text[:20]: count for text, count in (lost + more).items()}
    assert not shown, f"{lost.total()} lost, {more.total()} more: {shown}"


@pytest.mark.parametrize("compress", ["true", "false"])
def test_the_local_driver_is_read_through_rotations_and_kills(
    files: Shipping, docker_client: docker.DockerClient, busybox: str, compress: str
) -> None:
    options = {"max-size": "2m", "max-file": "20", "compress": compress}
    wanted = wanted_of("é")
    with running(docker_client, busybox, "local", ACCENTED, "local", options=options):
        kill_often(files.agent)
        eventually(lambda: all_are_there(files, "local", wanted), seconds=60)


@pytest.mark.parametrize(("driver", "odd"), [("local", "é"), ("json-file", "@@")])
def test_the_api_brings_every_line_once_through_kills(
    api: Shipping, docker_client: docker.DockerClient, busybox: str, driver: str, odd: str
) -> None:
    wanted = wanted_of(odd)
    with running(docker_client, busybox, "talker", TALKER if odd == "@@" else ACCENTED, driver):
        kill_often(api.agent)
        eventually(lambda: all_are_there(api, "talker", wanted), seconds=60)


def test_a_restarted_container_is_read_by_the_api_in_all_its_lives(
    api: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    with running(docker_client, busybox, "lives", "date +%s%N; printf end", "local") as container:
        for _ in range(3):
            container.wait()
            container.restart()
        container.wait()
        wanted = [line for line in container.logs().decode().replace("end", "\n").splitlines() if line]
        assert len(wanted) == 4

        def all_lives() -> None:
            lines = [line for line in api.lines("lives") if line != "end"]
            assert (lines, api.lines("lives").count("end")) == (wanted, 4)

        eventually(all_lives, seconds=40)


@pytest.mark.parametrize("driver", ["local", "json-file"])
def test_a_terminal_is_read_by_the_api(
    api: Shipping, docker_client: docker.DockerClient, busybox: str, driver: str
) -> None:
    long = "x" * 40000
    script = f"echo one; echo; head -c 40000 /dev/zero | tr '\\0' x; echo; echo two; printf '{2 * 'a'}$ '"
    with running(docker_client, busybox, "tty", script, driver, tty=True):
        wanted = ["one\r", "\r", f"{long}\r", "two\r", "aa$ "]
        eventually(lambda: _equal(api.lines("tty"), wanted), seconds=30)
        api.agent.kill()
        api.agent.start()
        eventually(lambda: _equal(api.lines("tty"), wanted), seconds=30)


@pytest.fixture
def syslog(tmp_path: Path) -> Iterator[str]:
    """Take what comes as a syslog server: what its driver cannot send Docker does not keep either."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "syslog"))

        def swallow() -> None:
            while server.recv(65536):
                pass

        thread = threading.Thread(target=swallow)
        thread.start()
        yield f"unixgram://{tmp_path}/syslog"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_container_of_another_driver_is_read_beside_files(
    files: Shipping, docker_client: docker.DockerClient, busybox: str, syslog: str
) -> None:
    script = "seq 1 2000; echo bad >&2; sleep 60"
    address = {"syslog-address": syslog}
    with (
        running(docker_client, busybox, "dual", script, "syslog", options=address),
        running(docker_client, busybox, "plain", script, "json-file"),
    ):
        wanted = sorted([*map(str, range(1, 2001)), "bad"])
        for name in ("dual", "plain"):
            eventually(lambda name=name: _equal(sorted(files.lines(name)), wanted), seconds=30)  # type: ignore[misc]
        kill_often(files.agent, 2)
        files.agent.wait_ready()
        for name in ("dual", "plain"):
            eventually(lambda name=name: _equal(sorted(files.lines(name)), wanted), seconds=30)  # type: ignore[misc]


def test_of_a_container_without_a_log_is_spoken_once(
    api: Shipping, docker_client: docker.DockerClient, busybox: str
) -> None:
    with (
        running(docker_client, busybox, "mute", "seq 1 100; sleep 60", "none"),
        running(docker_client, busybox, "heard", "echo here", "local"),
    ):
        eventually(lambda: _equal(api.lines("heard"), ["here"]), seconds=30)
        # Each container is read by itself.
        eventually(lambda: _equal(api.agent.log.read_text().count("a container keeps no log"), 1))
        assert api.lines("mute") == []
        api.agent.wait_ready()


def _equal(found: object, wanted: object) -> None:
    assert found == wanted
