"""A container's cgroup and /proc files, kept open for its life: reading one costs 3 µs instead of 12."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from compose_agent.dockerd.usage import parse
from compose_agent.dockerd.usage.descriptors import Descriptors, Reopened
from compose_agent.dockerd.usage.sample import DeviceIO, Sample

_NANO = 1e-9
_MICRO = 1e-6


class Files(Protocol):
    """Files of one container: ``read`` gives a sample, ``close`` the descriptors back.

    ``read`` raises OSError when the container is gone (ENODEV, ESRCH) or a file is not as expected.
    """

    def read(self) -> Sample:  # noqa: D102
        ...

    def close(self) -> None:  # noqa: D102
        ...


@dataclass(slots=True)
class V1Files:
    """Files of cgroup v1 controllers, and ``net/dev`` of the container's first process."""

    files: Descriptors | Reopened
    devices: Mapping[str, str]
    own_network: bool

    @staticmethod
    def paths(folders: Mapping[str, Path], net_dev: Path | None) -> list[Path | None]:
        """Return the files in the order in which :meth:`read` takes them."""
        cpuacct, cpu, memory = folders.get("cpuacct"), folders.get("cpu"), folders.get("memory")
        blkio, pids = folders.get("blkio"), folders.get("pids")
        return [
            cpuacct and cpuacct / "cpuacct.usage",
            cpuacct and cpuacct / "cpuacct.stat",
            cpu and cpu / "cpu.stat",
            memory and memory / "memory.usage_in_bytes",
            memory and memory / "memory.stat",
            pids and pids / "pids.current",
            blkio and _recursive(blkio / "blkio.throttle.io_service_bytes"),
            blkio and _recursive(blkio / "blkio.throttle.io_serviced"),
            net_dev,
        ]

    def read(self) -> Sample:
        """Read every file once."""
        usage, stat, throttling, memory, details, pids, sizes, counts, net = self.files.read()
        ticks = stat.split()
        cpu = throttling.split()
        throttled = len(cpu) >= 6 and cpu[1] != b"0"
        used = int(memory) if memory else None
        inactive = parse.value_behind(details, b"\ntotal_inactive_file ")
        return Sample(
            int(usage) * _NANO,
            int(ticks[1]) / parse.CLOCK_TICKS_PER_SECOND if ticks else None,
            int(ticks[3]) / parse.CLOCK_TICKS_PER_SECOND if ticks else None,
            int(cpu[1]) if throttled else None,
            int(cpu[3]) if throttled else None,
            int(cpu[5]) * _NANO if throttled else None,
            used,
            _working_set(used, inactive),
            parse.value_behind(details, b"\ntotal_rss "),
            parse.value_behind(details, b"\ntotal_cache "),
            parse.value_behind(details, b"\ntotal_swap "),
            int(pids) if pids else None,
            parse.net_dev(net) if self.own_network and net else None,
            parse.v1_blkio(sizes, counts, self.devices) if len(sizes) > 10 else _NO_DEVICES,
        )

    def close(self) -> None:
        """Close the files."""
        self.files.close()


_NO_DEVICES: Mapping[str, DeviceIO] = {}


def _working_set(used: int | None, inactive: int | None) -> int | None:
    return None if used is None or inactive is None else max(0, used - inactive)


def _recursive(path: Path) -> Path:
    """Return the variant that counts nested cgroups too, where the kernel has it (4.17 and newer)."""
    recursive = path.with_name(path.name + "_recursive")
    return recursive if recursive.exists() else path


@dataclass(slots=True)
class V2Files:
    """Files of the unified hierarchy, and ``net/dev`` of the container's first process."""

    files: Descriptors | Reopened
    devices: Mapping[str, str]
    own_network: bool

    @staticmethod
    def paths(folder: Path, net_dev: Path | None) -> list[Path | None]:
        """Return the files in the order in which :meth:`read` takes them."""
        names = (
            "cpu.stat",
            "memory.current",
            "memory.stat",
            "memory.swap.current",
            "pids.current",
            "io.stat",
        )
        return [*(folder / name for name in names), net_dev]

    def read(self) -> Sample:
        """Read every file once."""
        cpu_stat, memory, details, swap, pids, io, net = self.files.read()
        cpu = parse.keyed(cpu_stat)
        periods = cpu.get(b"nr_periods")  # 0 without a quota
        used = int(memory) if memory else None  # memory may be the one controller that is off
        details = b"\n" + details  # so that the first key is found like any other
        inactive = parse.value_behind(details, b"\ninactive_file ")
        return Sample(
            cpu[b"usage_usec"] * _MICRO,
            cpu[b"user_usec"] * _MICRO,
            cpu[b"system_usec"] * _MICRO,
            periods or None,
            cpu.get(b"nr_throttled") if periods else None,
            cpu[b"throttled_usec"] * _MICRO if periods else None,
            used,
            _working_set(used, inactive),
            parse.value_behind(details, b"\nanon "),
            parse.value_behind(details, b"\nfile "),
            int(swap) if swap else None,
            int(pids) if pids else None,
            parse.net_dev(net) if self.own_network and net else None,
            parse.v2_io(io, self.devices) if io else _NO_DEVICES,
        )

    def close(self) -> None:
        """Close the files."""
        self.files.close()


@dataclass(frozen=True, slots=True)
class Mounts:
    """Where the host's /proc and cgroup file systems are seen: inside a container, under other paths."""

    procfs: Path
    cgroupfs: Path

    @property
    def unified(self) -> bool:
        """Whether ``cgroupfs`` is a v2 hierarchy with controllers."""
        return (self.cgroupfs / "cgroup.controllers").exists()

    def device_names(self) -> dict[str, str]:
        """Return the name of every block device by ``major:minor``."""
        with suppress(OSError):
            return parse.diskstats((self.procfs / "diskstats").read_bytes())
        return {}


def candidates(container_id: str, parent: str, from_proc: str | None) -> Iterator[str]:
    """Yield where a container's cgroup may be, below the mount, the surest first.

    ``from_proc`` is the path in ``/proc/<pid>/cgroup``. It is right up to the part with the container's id:
    what follows are cgroups that the container made itself, such as an init system does. Without the id it is
    another process, and with ``/..`` it is seen from inside another cgroup namespace. Then the rules of
    Docker and Podman hold: with the systemd driver ``<slice>/docker-<id>.scope`` (nested slices spelled out),
    with cgroupfs ``<parent>/<id>``.
    """
    if from_proc and not from_proc.startswith("/..") and container_id in from_proc:
        end = from_proc.find("/", from_proc.index(container_id))
        yield (from_proc if end < 0 else from_proc[:end]).lstrip("/")
    slices = parent if parent.endswith(".slice") else ""
    yield f"{_slice_path(slices or 'system.slice')}/docker-{container_id}.scope"
    yield f"{_slice_path(slices or 'machine.slice')}/libpod-{container_id}.scope"
    yield f"{(parent or 'docker').strip('/')}/{container_id}"
    yield f"{(parent or 'libpod_parent').strip('/')}/libpod-{container_id}"


def _slice_path(name: str) -> str:
    """Return the folders of a systemd slice: ``a-b.slice`` lies in ``a.slice/a-b.slice``."""
    parts = name.rpartition("/")[2].removesuffix(".slice").split("-")
    return "/".join("-".join(parts[: n + 1]) + ".slice" for n in range(len(parts)))
