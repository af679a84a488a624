"""A frozen host: files, containers, Engine and time, all of them made up and never changing."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from compose_agent.dockerd.inventory import Counts, Link
from compose_agent.dockerd.model import Container, Engine
from compose_agent.dockerd.usage import UsageReader
from compose_agent.errors import EngineNotFound
from exporter.collectors import built_in, checked, compose, host_filesystem
from exporter.families import Collector, Scrape, Values
from exporter.scrape import Scraper
from exporter.settings import ExporterSettings
from tests.dockerd.usage import trees
from tests.exporter.build import NOW, World, settings

ANSWERS = Path(trees.__file__).parent / "answers"
TEXT = "metrics.txt"
OPENMETRICS = "metrics.openmetrics.txt"

ENGINE = Engine(
    id="ENGN:0001",
    name="host1",
    product="docker",
    version="28.5.2",
    api_version="1.51",
    os="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0-40-amd64",
    architecture="x86_64",
    cgroup_version="2",
    cgroup_driver="systemd",
    storage_driver="overlay2",
    root_dir="/var/lib/docker",
    cpus=4,
    memory_bytes=8 << 30,
)
PROC = {
    "stat": "cpu  123456 789 45678 9876543 2345 0 678 90 0 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n",
    "meminfo": "MemTotal:        8388608 kB\nMemFree:          524288 kB\nMemAvailable:    4194304 kB\n",
    "loadavg": "0.52 0.48 0.40 2/345 6789\n",
    "diskstats": " 254       0 vda 1 2 3\n 259       0 nvme0n1 1 2 3\n",
}
IDLE_IO = "254:0 259:0 rbytes=1048576 wbytes=524288 rios=64 wios=32 dbytes=0 dios=0\n"
TWO_INTERFACES = trees.NET_DEV + "  eth1: 18446744073709551615 20 0 0 0 0 0 0 4000 40 0 0 0 0 0 0\n"
HOSTILE = 'we"ird\\name\nwith {label="x"} 1 \u2028 \ud800 💥 %s ' + "long" * 60


def _id(number: int) -> str:
    return f"{number:02x}" * 32


def _compose(
    project: str, service: str, number: int = 1, more: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.oneoff": "False",
        **more,
    }


def _box(number: int, name: str, state: str = "running", **changes: Any) -> Container:
    known = {
        "image": "nginx:1.29",
        "image_id": "sha256:" + _id(number),
        "pid": 1000 + number if state in ("running", "paused") else 0,
        "created_at": NOW - 7200.5,
        "started_at": NOW - 3600.25,
        "restart_policy": "unless-stopped",
        "network_mode": "shop_default",
        "log_driver": "json-file",
        **changes,
    }
    return Container(id=_id(number), name=name, state=state, **known)


BOXES = (
    _box(1, "shop-web-1", health="healthy", labels=_compose("shop", "web", more={"org.acme.team": "blue"})),
    _box(
        2,
        "shop-web-2",
        health="unhealthy",
        restart_count=4,
        oom_kills=2,
        finished_at=NOW - 3600.75,
        cpu_limit_cores=0.5,
        memory_limit_bytes=64 << 20,
        pids_limit=100,
        labels=_compose("shop", "web", 2),
    ),
    _box(3, "shop-db-1", "exited", exit_code=3, finished_at=NOW - 60, labels=_compose("shop", "db")),
    _box(4, "shop-cache-1", "paused", labels=_compose("shop", "cache")),
    _box(
        5,
        "shop-flap-1",
        "restarting",
        exit_code=137,
        oom_killed=True,
        oom_kills=1,
        restart_count=17,
        finished_at=NOW - 1,
        labels=_compose("shop", "flap"),
    ),
    _box(6, "monitor", network_mode="host", labels={}),
    _box(
        7,
        "shop-web-run-1",
        "created",
        started_at=None,
        labels=_compose("shop", "web", more={"com.docker.compose.oneoff": "True"}),
    ),
    _box(8, "by-api", cgroup_parent="elsewhere", labels={}),
    _box(9, "just-gone", labels={}),
    _box(
        10, HOSTILE, image=HOSTILE, labels=_compose(HOSTILE, HOSTILE, more={"org.acme." + HOSTILE: HOSTILE})
    ),
)


def _files(root: Path) -> trees.Host:
    """Make the host's files: cgroup v2, systemd driver."""
    host = trees.host(root, 2)
    trees.write(host.mounts.procfs, PROC)
    no_quota = "usage_usec 7000001\nuser_usec 4000000\nsystem_usec 3000001\n"
    changes: Mapping[int, dict[str, Any]] = {
        1: {"net_dev": TWO_INTERFACES},
        2: {},
        4: {"files": {**trees.V2_FILES, "cpu.stat": no_quota, "io.stat": IDLE_IO}},
        6: {"files": {**trees.V2_FILES, "cpu.stat": no_quota, "io.stat": ""}},
        10: {"files": {"cpu.stat": no_quota, "pids.current": "1\n"}},
    }
    for number, change in changes.items():
        host.run(f"/system.slice/docker-{_id(number)}.scope", pid=1000 + number, **change)
    return host


def _stats(container_id: str) -> Mapping[str, Any]:
    if container_id != _id(8):
        raise EngineNotFound("gone", status=404)
    answer: dict[str, Any] = json.loads((ANSWERS / "stats-28-v2.json").read_text())
    return answer


def _disk(_: Path) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, 26214400, 13107200, 11796480, 0, 0, 0, 0, 255))


def _remembering(made: ExporterSettings) -> Callable[[Scrape], Values]:
    """Return the compose collector as it is when a service's last container went away an hour ago."""
    services = compose.ComposeServices(made.compose_forget_after)
    services._last_seen["shop", "mail"] = NOW - 3600
    return services


def _collectors() -> tuple[Collector, ...]:
    """Return the built-in collectors, with what would come from the machine made up."""
    frozen: Mapping[str, Callable[[ExporterSettings], Callable[[Any], Values]]] = {
        host_filesystem.COLLECTOR.name: lambda made: host_filesystem.make(made, _disk),
        compose.COLLECTOR.name: _remembering,
    }
    return checked(
        [
            dataclasses.replace(each, make=frozen[each.name]) if each.name in frozen else each
            for each in built_in()
        ]
    )


def texts(root: Path) -> dict[str, str]:
    """Return both files by name; ``root`` is an empty folder."""
    host = _files(root)
    reader = UsageReader(host.mounts, _stats)
    world = World(BOXES, about=ENGINE, state=Link(True, NOW - 60, ""), counted=Counts(2, 5, 1))
    chosen = settings(
        procfs=str(host.mounts.procfs), cgroupfs=str(host.mounts.cgroupfs), container_labels=["org.acme.*"]
    )
    scraper = Scraper(world, reader, chosen, collectors=_collectors(), clock=lambda: 0.0, now=lambda: NOW)
    try:
        return {
            TEXT: scraper.render(openmetrics=False, timeout=5.0),
            OPENMETRICS: scraper.render(openmetrics=True, timeout=5.0) + "# EOF\n",
        }
    finally:
        reader.close()
