"""What the whole agent costs while nothing happens: memory and CPU of all its processes.

Runs our image as one container on a private Engine with 100 others, ``compose-agent run`` with every role,
scraped as often as the bundle's Prometheus does; then with ``--one-process`` and without logs.  Memory is the
sum of the processes' PSS, so that what they share with one another counts once; nothing outside the container
shares the image's files.  CPU is that of the processes, and that of the container's cgroup, which includes
the image's health checks.

    python -m bench.idle_agent --containers 100 --seconds 120
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.models.containers import Container

from bench.fleet import Fleet
from lab import LabError, image
from lab.engine import PrivateEngine
from lab.loopback import DIRECT, answers

# As compose/prometheus/prometheus.yml has it.
SCRAPE_SECONDS = 15.0
_READY_SECONDS = 120.0
# Files are opened, templates made, and the first health checks are over.
WARM_UP_SECONDS = 30.0
_CALL_TIMEOUT_S = 300
_MIB_KIB = 1024

ALL_ROLES = ("--logs.sink=file:///var/lib/log-forwarder/lines.ndjson?max-size=50MB&max-files=2",)
SMALL_HOST = ("--one-process", "--no-enable-logs")


@dataclass(frozen=True, slots=True)
class Part:
    """One process: MiB of PSS, and its share of one core in percent."""

    name: str
    pss_mib: float
    percent: float

    def __str__(self) -> str:
        return f"  {self.name:<12} PSS {self.pss_mib:6.1f} MiB, CPU {self.percent:.2f} % of a core"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one way to run costs."""

    name: str
    parts: Sequence[Part]
    with_health_checks_percent: float

    def __str__(self) -> str:
        whole = Part(
            "all", sum(each.pss_mib for each in self.parts), sum(each.percent for each in self.parts)
        )
        checks = f"  with its health checks {self.with_health_checks_percent:.2f} % of a core"
        return "\n".join([f"{self.name}:", *map(str, (*self.parts, whole)), checks])


def main() -> None:
    """Print one line for each way to run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--containers", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=120.0)
    arguments = parser.parse_args()
    with PrivateEngine("28", share_network=True) as engine:
        image.build(engine)
        Fleet(engine).grow(arguments.containers)
        load = os.getloadavg()[0]
        print(f"{arguments.containers} containers, {arguments.seconds:g} s each, load {load:.2f}", flush=True)
        for name, options in (("all roles", ALL_ROLES), ("one process, without logs", SMALL_HOST)):
            print(measure(engine, name, options, arguments.seconds), flush=True)


def measure(engine: PrivateEngine, name: str, options: Sequence[str], seconds: float) -> Cost:
    """Return what ``run`` with these options costs on the Engine."""
    with running(engine, options) as (container, url):
        scrape_for(url, WARM_UP_SECONDS)
        pids = processes(container)
        began, before, whole = time.monotonic(), list(map(cpu_of, pids)), cpu_of_cgroup(container)
        scrape_for(url, seconds)
        took = time.monotonic() - began
        parts = [
            Part(role_of(pid), pss_kib(pid) / _MIB_KIB, (cpu_of(pid) - used) / took * 100)
            for pid, used in zip(pids, before, strict=True)
        ]
        return Cost(name, parts, (cpu_of_cgroup(container) - whole) / took * 100)


@contextmanager
def running(engine: PrivateEngine, options: Sequence[str]) -> Iterator[tuple[Container, str]]:
    """Run the agent in a container, as root without capabilities; yield it and its metrics' URL."""
    with closing(docker.DockerClient(base_url=engine.host, timeout=_CALL_TIMEOUT_S)) as client:
        container = client.containers.run(
            image.TAG,
            ["run", "--exporter.path.procfs=/host/proc", "--exporter.path.cgroupfs=/host/cgroup", *options],
            volumes={
                engine.socket: {"bind": "/var/run/docker.sock"},
                f"{engine.root}/data/containers": {"bind": "/var/lib/docker/containers", "mode": "ro"},
                "/proc": {"bind": "/host/proc", "mode": "ro"},
                "/sys/fs/cgroup": {"bind": "/host/cgroup", "mode": "ro"},
            },
            environment={"COMPOSE_AGENT_LOGS_DOCKER_ROOT": "/var/lib/docker"},
            tmpfs={"/var/lib/compose-agent": "", "/var/lib/log-forwarder": ""},
            user="0:0",
            cap_drop=["ALL"],
            detach=True,
        )
        try:
            container.reload()
            (network,) = container.attrs["NetworkSettings"]["Networks"].values()
            address = f"http://{network['IPAddress']}:9417"
            _wait_ready(container, address)
            yield container, f"{address}/metrics"
        finally:
            container.remove(force=True, v=True)


def _wait_ready(container: Container, address: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(f"{address}/-/ready"):
        if time.monotonic() > deadline:
            raise LabError("the agent is not ready", remedy=container.logs(tail=20).decode())
        time.sleep(0.5)


def scrape_for(url: str, seconds: float) -> None:
    """Scrape at once and then at the interval, as Prometheus does."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        with DIRECT.open(url, timeout=SCRAPE_SECONDS) as answer:
            answer.read()
        time.sleep(min(SCRAPE_SECONDS, left))


def processes(container: Container) -> list[int]:
    """Return the host's numbers of the agent's own processes: the first one, and what it started."""
    pid = int(container.attrs["State"]["Pid"])
    return [pid, *children_of(pid)]


def children_of(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    return [*map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())]


def pss_kib(pid: int) -> int:
    """Return a process's share of memory, in KiB (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise LabError(f"the kernel tells no PSS of process {pid}")


def role_of(pid: int) -> str:
    """Return which role a process runs, as its command line says it."""
    words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
    return words[words.index("role") + 1] if "role" in words else "run"


def cpu_of(pid: int) -> float:
    """Return the seconds of CPU that a process has used, as the scheduler counts them."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) / 1e9 for task in tasks)


def cpu_of_cgroup(container: Container) -> float:
    """Return the seconds of CPU of all that has run in the container, on cgroup v1 or v2."""
    pid = container.attrs["State"]["Pid"]
    for line in Path(f"/proc/{pid}/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, path = line.split(":", 2)
        if "cpuacct" in controllers.split(","):
            usage = Path(f"/sys/fs/cgroup/cpuacct{path}/cpuacct.usage")
            return int(usage.read_text(encoding="ascii")) / 1e9
    stat = Path(f"/sys/fs/cgroup{path}/cpu.stat").read_text(encoding="ascii")
    return int(stat.split()[1]) / 1e6


if __name__ == "__main__":
    main()
