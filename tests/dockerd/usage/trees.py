"""File trees that look like a host's cgroup and /proc file systems, in a temporary folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.cgroup import Mounts
from compose_agent.dockerd.usage.sample import Sample

ID = "5f1c" * 16
PID = 4242

# Recorded on Linux 6.18 with cgroup v1 (hybrid).
V1_MEMORY_STAT = """\
cache 4096
rss 1048576
rss_huge 0
shmem 0
mapped_file 0
swap 0
inactive_file 1000
active_file 3096
hierarchical_memory_limit 9223372036854771712
hierarchical_memsw_limit 9223372036854771712
total_cache 8192
total_rss 2097152
total_rss_huge 0
total_shmem 0
total_mapped_file 0
total_dirty 0
total_swap 12288
total_inactive_anon 0
total_active_anon 2097152
total_inactive_file 3145728
total_active_file 4096
total_unevictable 0
"""
V1_CPU_STAT = "nr_periods 50\nnr_throttled 7\nthrottled_time 1500000000\nnr_bursts 0\nburst_time 0\n"
V1_BYTES = """\
254:0 Read 8192
254:0 Write 4096
254:0 Sync 12288
254:0 Async 0
254:0 Discard 0
254:0 Total 12288
Total 12288
"""
V1_OPERATIONS = V1_BYTES.replace("8192", "2").replace("4096", "1").replace("12288", "3")
V1_FILES: Mapping[str, str] = {
    "cpuacct/cpuacct.usage": "12500000000\n",
    "cpuacct/cpuacct.stat": "user 800\nsystem 400\n",
    "cpu/cpu.stat": V1_CPU_STAT,
    "memory/memory.usage_in_bytes": "10485760\n",
    "memory/memory.stat": V1_MEMORY_STAT,
    "pids/pids.current": "3\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": V1_BYTES,
    "blkio/blkio.throttle.io_serviced_recursive": V1_OPERATIONS,
}

# As in the kernel's Documentation/admin-guide/cgroup-v2.rst.
V2_MEMORY_STAT = """\
anon 2097152
file 8192
kernel 0
kernel_stack 49152
pagetables 65536
sock 0
shmem 0
file_mapped 77
file_dirty 0
inactive_anon 555
active_anon 2097152
inactive_file 3145728
active_file 4096
unevictable 0
slab_reclaimable 1
workingset_refault_file 0
"""
V2_CPU_STAT = """\
usage_usec 12500000
user_usec 8000000
system_usec 4000000
nice_usec 0
nr_periods 50
nr_throttled 7
throttled_usec 1500000
nr_bursts 0
burst_usec 0
"""
V2_FILES: Mapping[str, str] = {
    "cpu.stat": V2_CPU_STAT,
    "memory.current": "10485760\n",
    "memory.stat": V2_MEMORY_STAT,
    "memory.swap.current": "12288\n",
    "memory.max": "max\n",
    "pids.current": "3\n",
    "io.stat": "254:0 rbytes=8192 wbytes=4096 rios=2 wios=1 dbytes=0 dios=0\n",
}

NET_DEV = """\
Inter-|   Receive                                      |  Transmit
 face |bytes packets errs drop fifo frame comp multicast|bytes packets errs drop fifo colls carrier comp
    lo:   99       9    0    0    0     0    0         0    99       9    0    0    0     0       0    0
  eth0: 1000      10    1    2    0     0    0         0  2000      20    3    4    0     0       0    0
"""
DISKSTATS = "   7       0 loop0 0 0 0\n 254       0 vda 227061 28246 18366306\n"


def container(container_id: str = ID, pid: int = PID, **changes: object) -> Container:
    """Return a running container."""
    known = {
        "name": "web",
        "image": "nginx",
        "image_id": "sha256:1",
        "state": "running",
        "started_at": 1_700_000_000.5,
        **changes,
    }
    return Container(id=container_id, pid=pid, **known)  # type: ignore[arg-type]


def rounded(sample: Sample | None) -> Sample | None:
    """Return the sample with seconds to the nanosecond, as its sources have them."""
    if sample is None:
        return None
    return Sample(*(round(each, 9) if isinstance(each, float) else each for each in sample))  # type: ignore[arg-type]


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@dataclass(frozen=True)
class Host:
    """A made-up host; ``version`` is that of its cgroups."""

    root: Path
    version: int

    @property
    def mounts(self) -> Mounts:
        """Where its file systems are."""
        return Mounts(self.root / "proc", self.root / "cgroup")

    def run(
        self,
        path: str,
        *,
        pid: int = PID,
        seen: str | None = None,
        files: Mapping[str, str] | None = None,
        net_dev: str | None = NET_DEV,
    ) -> None:
        """Make the files of a process in the cgroup ``path``; /proc shows it as ``seen``."""
        self.cgroup(path, self.files if files is None else files)
        self.process(path if seen is None else seen, pid, net_dev)

    @property
    def files(self) -> Mapping[str, str]:
        """The usual files of a container."""
        return V1_FILES if self.version == 1 else V2_FILES

    def cgroup(self, path: str, files: Mapping[str, str]) -> None:
        """Make a cgroup; the names of v1 files begin with their controller."""
        if self.version == 2:
            write(self.mounts.cgroupfs / path.lstrip("/"), {"cgroup.procs": "", **files})
            return
        for name, text in files.items():
            controller, _, file = name.partition("/")
            write(self.mounts.cgroupfs / controller / path.lstrip("/"), {"cgroup.procs": "", file: text})

    def process(self, path: str, pid: int = PID, net_dev: str | None = NET_DEV) -> None:
        """Make a process in /proc."""
        lines = [f"0::{path}"]
        if self.version == 1:
            lines = [
                f"{n}:{name}:{path}" for n, name in enumerate(("pids", "blkio", "memory", "cpu,cpuacct"), 2)
            ]
            lines += [f"1:name=systemd:{path}", "0::/"]
        write(self.mounts.procfs / str(pid), {"cgroup": "\n".join(lines) + "\n"})
        if net_dev is not None:
            write(self.mounts.procfs / str(pid), {"net/dev": net_dev})

    def file(self, path: str, name: str) -> Path:
        """Return where a file of a cgroup is."""
        controller, _, file = name.rpartition("/")
        return self.mounts.cgroupfs / controller / path.lstrip("/") / file


def host(root: Path, version: int) -> Host:
    """Return an empty host with controllers and a disk."""
    made = Host(root, version)
    write(made.mounts.procfs, {"diskstats": DISKSTATS})
    write(made.mounts.cgroupfs, {"cgroup.controllers": "cpu io memory pids\n"} if version == 2 else {})
    made.mounts.cgroupfs.mkdir(exist_ok=True)
    return made
