"""Docker's own folders tell what the Engine answers, and tell it in time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container as Handle

from compose_agent.dockerd.folders.watch import FolderWatch
from compose_agent.dockerd.model import Container, container_from_inspect
from lab.engine import PrivateEngine
from log_forwarder.selection import own_container_id
from tests.integration.metrics import eventually

pytestmark = [pytest.mark.engine, pytest.mark.lines]

SHORT_LIVED = 60
TOGETHER = 10
PATIENCE_SECONDS = 30.0


class Reader:
    """A listener that opens each log when it hears of it, as a reader of logs does."""

    def __init__(self, containers: Path) -> None:
        self._containers = containers
        self.told: dict[str, Container] = {}
        self.states: dict[str, list[str]] = {}
        self.logs: dict[tuple[str, str], int] = {}
        self.vanished_ids: set[str] = set()
        self.surprises: list[str] = []

    def appeared(self, container: Container, folder: Path) -> None:
        if container.id in self.told or folder != self._containers / container.id:
            self.surprises.append(f"appeared in {folder}")
        self.told[container.id] = container
        self.states[container.id] = [container.state]

    def changed(self, container: Container) -> None:
        self.told[container.id] = container
        self.states[container.id].append(container.state)

    def file_created(self, container_id: str, name: str) -> None:
        if container_id not in self.told or (container_id, name) in self.logs:
            self.surprises.append(f"{container_id} {name}")
        try:
            self.logs[container_id, name] = os.open(self._containers / container_id / name, os.O_RDONLY)
        except OSError as error:
            self.surprises.append(str(error))

    def vanished(self, container_id: str) -> None:
        self.vanished_ids.add(container_id)

    def text(self, container_id: str) -> str:
        descriptor = self.logs.get((container_id, f"{container_id}-json.log"))
        return "" if descriptor is None else os.pread(descriptor, 65536, 0).decode()

    def close(self) -> None:
        for descriptor in self.logs.values():
            os.close(descriptor)


class Watched:
    """A watch over the session's Engine, with what it told."""

    def __init__(self, engine: PrivateEngine) -> None:
        self.root = engine.root / "data"
        self.reader = Reader(self.root / "containers")
        self.watch = FolderWatch(self.root, self.reader)

    def agrees(self, handle: Handle) -> None:
        """Assert that the folder and the Engine say the same, also what is not compared."""
        handle.reload()
        engine, folder = container_from_inspect(handle.attrs), self.reader.told[str(handle.id)]
        for field in Container.__slots__:
            assert getattr(folder, field) == getattr(engine, field), field

    def agrees_in_time(self, handle: Handle, state: str) -> None:
        def check() -> None:
            self.agrees(handle)
            assert self.reader.told[str(handle.id)].state == state

        eventually(check, PATIENCE_SECONDS)


@pytest.fixture
def watched(engine: PrivateEngine) -> Iterator[Watched]:
    made = Watched(engine)
    made.watch.start()
    yield made
    made.watch.stop()
    made.reader.close()


@pytest.fixture
def run(docker_client: docker.DockerClient, busybox: str) -> Iterator[Any]:
    """Return a function that starts a container in the background, which is removed at the end."""
    handles: list[Handle] = []

    def start(script: str, **options: Any) -> Handle:
        handles.append(docker_client.containers.run(busybox, ["sh", "-c", script], detach=True, **options))
        return handles[-1]

    yield start
    for handle in handles:
        handle.remove(force=True)


def test_folders_say_what_the_engine_says_through_a_containers_life(
    watched: Watched, run: Any, docker_client: docker.DockerClient
) -> None:
    network = docker_client.networks.create("folders-net")
    handle = run(
        "echo hello; exec sleep 600",
        name="folders-life",
        labels={"compose-agent.logs": "true"},
        log_config={"type": "json-file", "config": {"max-size": "1m", "max-file": "3"}},
        mem_limit="64m",
        nano_cpus=500_000_000,
        pids_limit=50,
        ports={"80/tcp": ("127.0.0.1", None)},
    )
    try:
        watched.agrees_in_time(handle, "running")
        first = watched.reader.told[handle.id]
        assert (first.log_driver, first.log_options) == ("json-file", {"max-size": "1m", "max-file": "3"})
        assert len(first.addresses) == 2
        assert len(first.published_ports) == 1
        handle.pause()
        watched.agrees_in_time(handle, "paused")
        handle.unpause()
        watched.agrees_in_time(handle, "running")
        network.connect(handle, aliases=["fluentd"])
        watched.agrees_in_time(handle, "running")
        assert "fluentd" in watched.reader.told[handle.id].addresses
        handle.update(cpu_shares=100)
        handle.stop(timeout=0)
        watched.agrees_in_time(handle, "exited")
        handle.rename("folders-renamed")
        handle.start()
        watched.agrees_in_time(handle, "running")
        assert watched.reader.told[handle.id].name == "folders-renamed"
    finally:
        network.disconnect(handle)
        network.remove()
    assert watched.reader.surprises == []


def test_a_container_that_only_exists_and_one_that_is_restarted_are_told_as_they_are(
    watched: Watched, run: Any, docker_client: docker.DockerClient, busybox: str
) -> None:
    created = docker_client.containers.create(busybox, ["true"], tty=True)
    try:
        watched.agrees_in_time(created, "created")
        assert watched.reader.told[created.id].tty
    finally:
        created.remove()
    eventually(lambda: _assert_in(created.id, watched.reader.vanished_ids), PATIENCE_SECONDS)
    # The pauses between starts double: some are long enough for a busy machine to see one.
    restarted = run("exit 3", restart_policy={"Name": "on-failure", "MaximumRetryCount": 5})
    watched.agrees_in_time(restarted, "exited")
    told = watched.reader.told[restarted.id]
    assert (told.exit_code, told.restart_count) == (3, 5)
    assert "restarting" in watched.reader.states[restarted.id]


@pytest.mark.parametrize(
    ("config", "log"),
    [
        ({"type": "json-file"}, "{id}-json.log"),
        ({"type": "local"}, "local-logs/container.log"),
        # Docker keeps a copy of what goes elsewhere.
        ({"type": "syslog", "config": {"syslog-address": "udp://127.0.0.1:5514"}}, "container-cached.log"),
        ({"type": "none"}, None),
    ],
)
def test_the_log_of_each_driver_is_told(
    watched: Watched, run: Any, config: dict[str, Any], log: str | None
) -> None:
    handle = run("echo hello; exec sleep 600", log_config=config)
    watched.agrees_in_time(handle, "running")

    def check() -> None:
        names = [name for container_id, name in list(watched.reader.logs) if container_id == handle.id]
        assert names == ([log.format(id=handle.id)] if log else [])

    eventually(check, PATIENCE_SECONDS)
    assert watched.reader.surprises == []


def test_what_is_there_before_the_watch_is_told_at_its_start(
    engine: PrivateEngine, docker_client: docker.DockerClient, run: Any
) -> None:
    handle = run("echo hello")
    docker_client.api.wait(handle.id)
    handle.reload()  # is answered when the end is written down, which a wait is not
    late = Watched(engine)
    late.watch.start()
    try:
        late.agrees(handle)
        assert "hello" in late.reader.text(handle.id)
        assert late.watch.error == ""
    finally:
        late.watch.stop()
        late.reader.close()


def test_sixty_containers_that_live_for_a_moment_are_all_read(
    watched: Watched, docker_client: docker.DockerClient, busybox: str
) -> None:
    lines: dict[str, str] = {}
    lock = threading.Lock()

    def start(number: int) -> None:
        line = f"line-{number}-of-many"
        handle = docker_client.containers.run(busybox, ["echo", line], auto_remove=True, detach=True)
        with lock:
            lines[str(handle.id)] = line

    with ThreadPoolExecutor(TOGETHER) as pool:
        list(pool.map(start, range(SHORT_LIVED)))
    eventually(lambda: _assert_all_in(lines, watched.reader.vanished_ids), PATIENCE_SECONDS)
    missing = [each for each, line in lines.items() if f'"{line}\\n"' not in watched.reader.text(each)]
    assert missing == []
    assert all(watched.reader.told[each].name for each in lines)
    assert watched.reader.surprises == []


@pytest.mark.parametrize("namespace", ["host", "private"])
def test_a_container_knows_its_own_id(
    docker_client: docker.DockerClient, busybox: str, namespace: str, tmp_path: Path
) -> None:
    # Busybox lacks Python, so its view is carried out of it; docker-py has no option for the namespace.
    api = docker_client.api
    host_config = {**api.create_host_config(), "CgroupnsMode": namespace}
    command = ["sh", "-c", "cat /proc/self/cgroup; echo; cat /proc/self/mountinfo"]
    made = api.create_container(busybox, command, host_config=host_config)["Id"]
    try:
        api.start(made)
        api.wait(made)
        cgroup, _, mountinfo = api.logs(made).decode().partition("\n\n")
    finally:
        api.remove_container(made, force=True)
    (tmp_path / "mountinfo").write_text(mountinfo)
    assert own_container_id(tmp_path) == made
    if namespace == "host":
        (tmp_path / "mountinfo").unlink()
        (tmp_path / "cgroup").write_text(cgroup)
        assert own_container_id(tmp_path) == made


def _assert_in(container_id: str, found: set[str]) -> None:
    assert container_id in found


def _assert_all_in(wanted: dict[str, str], found: set[str]) -> None:
    assert set(wanted) <= found
