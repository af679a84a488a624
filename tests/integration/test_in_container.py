"""The exporter in a container sees what the exporter on the host sees."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from lab import image
from lab.agent import Agent
from lab.busybox import ensure_image
from lab.engine import PrivateEngine
from lab.fixtures import CALL_TIMEOUT_S
from lab.loopback import DIRECT, answers, free_port
from tests.integration.contained import START_SECONDS, UID, ContainedAgent
from tests.integration.metrics import Exposition, eventually

pytestmark = pytest.mark.engine

MIB = 2**20
SECOND_NS = 1_000_000_000
IDLE = "trap 'exit 0' TERM; while :; do sleep 1; done"
OTHERS: dict[str, dict[str, Any]] = {
    "quiet": {"script": IDLE},
    "filled": {
        "script": f"dd if=/dev/zero of=/cache/file bs=1M count=25 2>/dev/null; {IDLE}",
        "tmpfs": {"/cache": ""},
        "mem_limit": "48m",
    },
    "limited": {"script": "while :; do :; done", "nano_cpus": 50_000_000},
    # A process that the exporter's user may not trace.
    "foreign": {"script": IDLE, "user": "1000:1000"},
    "elsewhere": {"script": IDLE, "cgroup_parent": "/{engine}/below"},
    "hosted": {"script": IDLE, "network_mode": "host"},
    "exited": {"script": "exit 3"},
}
NETWORKED = ("quiet", "filled", "limited", "foreign", "elsewhere")


@pytest.fixture(scope="module")
def builder() -> Iterator[PrivateEngine]:
    """Start an Engine whose builds reach the package registry."""
    with PrivateEngine("28", share_network=True) as engine:
        yield engine


@pytest.fixture(scope="module")
def client(builder: PrivateEngine) -> Iterator[docker.DockerClient]:
    connected = docker.DockerClient(base_url=builder.host, timeout=CALL_TIMEOUT_S)
    busybox = ensure_image(connected)
    for name, given in OTHERS.items():
        options = dict(given)
        script = options.pop("script")
        if parent := options.get("cgroup_parent"):
            # Below the Engine's own, with which it is removed.
            options["cgroup_parent"] = parent.format(engine=builder.root.name)
        connected.containers.run(busybox, ["sh", "-c", script], name=name, detach=True, **options)
    connected.containers.get("exited").wait()
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def built(builder: PrivateEngine) -> str:
    return image.build(builder)


@pytest.fixture(scope="module", params=["host", "private"])
def contained(
    request: pytest.FixtureRequest, builder: PrivateEngine, client: docker.DockerClient, built: str
) -> Iterator[ContainedAgent]:
    with ContainedAgent(builder, client, built, cgroupns=request.param) as running:
        yield running


@pytest.fixture
def outside(builder: PrivateEngine, contained: ContainedAgent) -> Iterator[Agent]:  # noqa: ARG001 - is seen too
    with Agent(builder.host) as running:
        running.wait_ready()
        yield running


def scrape_of(contained: ContainedAgent) -> Exposition:
    return Exposition(contained.get())


def test_usage_of_every_container_comes_from_files(contained: ContainedAgent) -> None:
    running = len(OTHERS) - 1 + 1  # all but the stopped one, and the exporter itself

    def check() -> None:
        scrape = scrape_of(contained)
        found = {
            source: scrape.value("docker_exporter_usage_containers", source=source)
            for source in ("cgroup", "api", "none")
        }
        assert found == {"cgroup": running, "api": 0, "none": 0}
        assert set(scrape.values("docker_exporter_collector_success")) == {1.0}

    eventually(check)  # it may be up before the Engine says that it runs


def test_it_tells_the_same_series_as_the_exporter_on_the_host(
    contained: ContainedAgent, outside: Agent
) -> None:
    def series(scrape: Exposition) -> set[tuple[str, str]]:
        return {
            (sample.name, repr(sorted(sample.labels.items())))
            for sample in scrape.samples
            if sample.name.startswith("docker_")
            and not sample.name.startswith(
                ("docker_exporter_", "docker_host_filesystem", "docker_engine_req")
            )
        }

    def check() -> None:
        assert series(scrape_of(contained)) ^ series(Exposition.of(outside)) == set()

    eventually(check)


@pytest.mark.parametrize("name", sorted(OTHERS.keys() - {"exited", "limited"}))
@pytest.mark.parametrize(
    "family",
    [
        "docker_container_memory_usage_bytes",
        "docker_container_memory_working_set_bytes",
        "docker_container_pids",
    ],
)
def test_values_are_those_that_the_host_sees(
    contained: ContainedAgent, outside: Agent, name: str, family: str
) -> None:
    def check() -> None:
        seen = scrape_of(contained).value(family, name=name)
        assert seen == pytest.approx(Exposition.of(outside).value(family, name=name), rel=0.02)

    eventually(check)


@pytest.mark.parametrize("name", NETWORKED)
def test_network_counters_of_other_users_processes_are_read(
    contained: ContainedAgent, outside: Agent, name: str
) -> None:
    family = "docker_container_network_receive_bytes_total"

    def check() -> None:
        seen = scrape_of(contained).value(family, name=name, interface="eth0")
        assert seen == Exposition.of(outside).value(family, name=name, interface="eth0")
        assert seen > 0

    eventually(check)


def test_throttling_and_limits_are_seen(contained: ContainedAgent) -> None:
    def check() -> None:
        scrape = scrape_of(contained)
        assert scrape.value("docker_container_cpu_limit_cores", name="limited") == 0.05
        assert scrape.value("docker_container_cpu_throttled_periods_total", name="limited") > 0
        assert scrape.value("docker_container_memory_limit_bytes", name="filled") == 48 * MIB

    eventually(check)


def test_the_host_is_the_host_and_not_the_container(contained: ContainedAgent) -> None:
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if "MemTotal" in line)
    assert scrape_of(contained).value("docker_host_memory_total_bytes") == int(total.split()[1]) * 1024


def test_it_runs_as_an_unprivileged_user_without_capabilities(contained: ContainedAgent) -> None:
    pid = contained.container.attrs["State"]["Pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == [str(UID)] * 4
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"


def test_the_images_healthcheck_finds_it_healthy(
    builder: PrivateEngine, client: docker.DockerClient, built: str
) -> None:
    soon = {"interval": SECOND_NS}
    with ContainedAgent(builder, client, built, name="checked", healthcheck=soon) as checked:

        def check() -> None:
            assert checked.container.attrs["State"]["Health"]["Status"] == "healthy"

        eventually(check, seconds=30)


def test_it_stops_in_order(builder: PrivateEngine, client: docker.DockerClient, built: str) -> None:
    with ContainedAgent(builder, client, built, name="stopped") as stopped:
        stopped.container.stop(timeout=20)
        assert stopped.container.attrs["State"]["ExitCode"] == 0


NOBODYS_GROUP = 65534


@pytest.mark.parametrize("level", ["1", "2"])
def test_with_a_hidden_proc_the_engine_is_asked_for_what_files_do_not_tell(
    builder: PrivateEngine, client: docker.DockerClient, built: str, level: str
) -> None:
    # From the group gid= nothing is hidden. The default is root's, and so may be the socket's.
    options = {"type": "proc", "device": "proc", "o": f"hidepid={level},gid={NOBODYS_GROUP}"}
    hidden = client.volumes.create(f"hidden-proc-{level}", driver_opts=options)
    volumes = ContainedAgent(builder, client, built).options["volumes"]
    volumes = {path: bind for path, bind in volumes.items() if path != "/proc"}
    volumes[hidden.name] = {"bind": "/host/proc", "mode": "ro"}
    with ContainedAgent(builder, client, built, name=f"blind-{level}", volumes=volumes) as blind:

        def check() -> None:
            scrape = scrape_of(blind)
            assert scrape.value("docker_exporter_usage_containers", source="none") == 0
            assert scrape.value("docker_exporter_usage_containers", source="api") >= len(NETWORKED)
            for name in NETWORKED:
                labels = {"name": name, "interface": "eth0"}
                assert scrape.value("docker_container_network_receive_bytes_total", **labels) > 0
                assert scrape.value("docker_container_cpu_usage_seconds_total", name=name) > 0

        eventually(check)  # a busy Engine answers some too late


def test_a_socket_that_its_group_may_not_use_is_named_with_the_group(
    builder: PrivateEngine, client: docker.DockerClient, built: str
) -> None:
    options = ContainedAgent(builder, client, built).options | {"group_add": [], "name": "refused"}
    refused = client.containers.run(built, detach=True, **options)
    try:
        assert refused.wait(timeout=CALL_TIMEOUT_S)["StatusCode"] != 0
        assert f"group {Path(builder.socket).stat().st_gid}" in refused.logs().decode()
    finally:
        refused.remove(force=True)


def test_the_compose_file_of_the_documentation_works(
    builder: PrivateEngine,
    client: docker.DockerClient,  # noqa: ARG001 - has started the others
    built: str,
    tmp_path: Path,
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "container.md").read_text(encoding="utf-8")
    (tmp_path / "compose.yaml").write_text(page.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    port = free_port()
    environment = {
        **builder.environment,
        "COMPOSE_AGENT_IMAGE": built,
        "DOCKER_SOCKET": builder.socket,
        "DOCKER_GID": str(Path(builder.socket).stat().st_gid),
        "EXPORTER_PORT": str(port),
    }
    compose = ["docker", "compose", f"--project-directory={tmp_path}", "--project-name=documented"]
    subprocess.run([*compose, "up", "--detach"], env=environment, check=True, timeout=CALL_TIMEOUT_S)
    try:

        def check() -> None:
            assert answers(f"http://127.0.0.1:{port}/-/ready")

        def sees_everything() -> None:
            with DIRECT.open(f"http://127.0.0.1:{port}/metrics", timeout=CALL_TIMEOUT_S) as response:
                scrape = Exposition(response.read().decode())
            by_files = scrape.value("docker_exporter_usage_containers", source="cgroup")
            assert by_files == scrape.value("docker_containers", state="running") >= len(OTHERS)
            assert scrape.value(
                "docker_compose_service_containers", compose_project="documented", state="running"
            )

        eventually(check, seconds=START_SECONDS)
        eventually(sees_everything)
    finally:
        subprocess.run([*compose, "down"], env=environment, check=True, timeout=CALL_TIMEOUT_S)


def test_the_docker_roots_disk_is_seen_through_a_mount_of_its_own(
    builder: PrivateEngine, client: docker.DockerClient, built: str
) -> None:
    root = f"{builder.root}/data"
    seeing = ContainedAgent(builder, client, built, name="seeing")
    seeing.options["volumes"] |= {root: {"bind": f"/host/root{root}", "mode": "ro,rslave"}}
    seeing.options["command"] = [*seeing.options["command"], "--path.rootfs=/host/root"]
    with seeing:
        size = os.statvfs(root).f_blocks * os.statvfs(root).f_frsize
        assert scrape_of(seeing).value("docker_host_filesystem_size_bytes") == size
