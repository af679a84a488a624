"""Values of the Engine, the host and the inventory."""

import os
from pathlib import Path
from typing import Any

import pytest

from compose_agent.dockerd.inventory import Counts, Link
from compose_agent.dockerd.model import STATES, Engine
from exporter.collectors import engine, host, host_filesystem, inventory
from exporter.families import Scrape
from tests.exporter.build import NOW, box, scrape, settings

DOWN = Link(up=False, since=NOW, error="gone")
ABOUT = Engine(
    product="docker",
    version="28.5.2",
    api_version="1.51",
    os="Debian",
    kernel="6.1",
    architecture="x86_64",
    cgroup_version="2",
    cgroup_driver="systemd",
    storage_driver="overlay2",
    name="host1",
    root_dir="/var/lib/docker",
)


def test_the_engine_is_up_and_described_and_its_containers_are_counted() -> None:
    up, info, containers = engine.values(scrape(box("1"), box("2", state="exited"), box("3"), engine=ABOUT))
    assert (up, containers) == (1, {**dict.fromkeys(STATES, 0), "running": 2, "exited": 1})
    (labels,) = info  # type: ignore[misc]
    described = dict(zip(engine.COLLECTOR.families[1].labels, labels, strict=True))
    assert described == {
        "engine": "docker",
        "version": "28.5.2",
        "api_version": "1.51",
        "os": "Debian",
        "kernel": "6.1",
        "architecture": "x86_64",
        "cgroup_version": "2",
        "cgroup_driver": "systemd",
        "storage_driver": "overlay2",
        "hostname": "host1",
    }


@pytest.mark.parametrize(("known", "rest"), [(True, False), (False, True)])
def test_an_engine_that_is_down_is_0_and_after_a_while_nothing_else(known: bool, rest: bool) -> None:
    up, info, containers = engine.values(scrape(box(), link=DOWN, known=known))
    assert up == 0
    assert (info is None) is rest
    assert (containers is None) is rest


def test_the_inventorys_own_work_is_counted() -> None:
    made = scrape(counts=Counts(2, 5, 1), sources={"cgroup": 3, "api": 2, "none": 1})
    assert inventory.values(made) == (2, 5, 1, {"cgroup": 3, "api": 2, "none": 1})


def values(procfs: Path) -> Any:
    return host.make(settings(procfs=str(procfs)))(scrape())


def test_the_host_is_read_from_proc_in_every_scrape(tmp_path: Path) -> None:
    (tmp_path / "stat").write_text("cpu  100 200 300 400 500 600 700 800 50 5\ncpu0 1 2 3\n")
    (tmp_path / "meminfo").write_text("MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n")
    (tmp_path / "loadavg").write_text("0.25 0.5 0.75 1/100 4242\n")
    cpu, total, available, load = values(tmp_path)
    modes = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
    assert cpu == {mode: float(n) for n, mode in enumerate(modes, 1)}
    assert (total, available, load) == (2048 * 1024, 1024 * 1024, 0.25)
    (tmp_path / "loadavg").write_text("3.5 0.5 0.75 1/100 4242\n")
    assert values(tmp_path)[3] == 3.5


def test_the_hosts_own_proc_can_be_read() -> None:
    cpu, total, available, load = values(Path("/proc"))
    assert cpu["user"] > 0
    assert 0 < available <= total
    assert load >= 0


def test_another_hosts_engine_gets_nothing_of_our_files() -> None:
    elsewhere = scrape(local=False, engine=Engine(root_dir="/"))
    assert list(host.make(settings())(elsewhere)) == [None] * 4
    assert list(host_filesystem.make(settings())(elsewhere)) == [None] * 2


def disk(rootfs: str, root_dir: str, statvfs: Any = os.statvfs) -> Any:
    made: Scrape = scrape(engine=Engine(root_dir=root_dir))
    return host_filesystem.make(settings(rootfs=rootfs), statvfs)(made)


def test_the_disk_below_the_docker_root_is_told_in_bytes(tmp_path: Path) -> None:
    (tmp_path / "var/lib/docker").mkdir(parents=True)
    size, available = disk(str(tmp_path), "/var/lib/docker")
    expected = os.statvfs(tmp_path)
    assert size == expected.f_blocks * expected.f_frsize
    assert 0 < available <= size


def fails(error: type[OSError]) -> Any:
    def statvfs(_: Path) -> os.statvfs_result:
        raise error

    return statvfs


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_docker_root_that_cannot_be_seen_from_here_has_no_series(error: type[OSError]) -> None:
    assert disk("/", "/var/lib/docker", fails(error)) == (None, None)


def test_an_engine_that_does_not_say_its_root_has_no_series() -> None:
    assert disk("/", "", fails(AssertionError)) == (None, None)  # type: ignore[arg-type]


def test_a_broken_file_system_is_a_failure() -> None:
    with pytest.raises(BlockingIOError):
        disk("/", "/x", fails(BlockingIOError))
