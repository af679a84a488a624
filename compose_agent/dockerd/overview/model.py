"""The view-model. Its field names are the keys of the JSON form; each says what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, get_type_hints


@dataclass(frozen=True, slots=True)
class HostOverview:
    """The host, its Engine and the sums over its containers. None is "unknown"."""

    name: Annotated[str, "host name, as the Engine gives it; empty before it was ever reached"]
    engine_product: Annotated[str, "docker or podman"]
    engine_version: Annotated[str, "version of the Engine"]
    api_version: Annotated[str, "newest API version of the Engine"]
    operating_system: Annotated[str, "operating system of the host"]
    up: Annotated[bool, "whether the Engine answers; if not, everything it said is its last word"]
    since_timestamp_seconds: Annotated[float, "since when it answers or does not, Unix time"]
    error: Annotated[str, "why the Engine does not answer, and what helps; empty while it does"]
    complete: Annotated[bool, "whether every container was inspected since the agent connected"]
    cpus: Annotated[int | None, "number of CPUs"]
    cpu_busy_ratio: Annotated[float | None, "share of all CPU time in use, 0 to 1"]
    memory_total_bytes: Annotated[int | None, "memory of the host"]
    memory_available_bytes: Annotated[int | None, "memory that can be had without swapping"]
    load1: Annotated[float | None, "load average over one minute"]
    load5: Annotated[float | None, "load average over five minutes"]
    load15: Annotated[float | None, "load average over fifteen minutes"]
    containers_by_state: Annotated[Mapping[str, int], "number of containers in each state, all states there"]
    unhealthy: Annotated[int, "number of running containers whose health check fails"]

    @property
    def memory_used_bytes(self) -> int | None:
        """Memory that is not available."""
        if self.memory_total_bytes is None or self.memory_available_bytes is None:
            return None
        return self.memory_total_bytes - self.memory_available_bytes


@dataclass(frozen=True, slots=True)
class ContainerRow:
    """One container. None is "unknown" or "not applicable"; rates are means since an earlier reading."""

    name: Annotated[str, "name of the container"]
    id: Annotated[str, "first 12 digits of its id"]
    image: Annotated[str, "image, as it was asked for"]
    project: Annotated[str, "Compose project, empty outside Compose"]
    service: Annotated[str, "Compose service, empty outside Compose"]
    number: Annotated[str, "number among the replicas of the service, empty outside Compose"]
    state: Annotated[str, "created, running, paused, restarting, removing, exited or dead"]
    health: Annotated[str, "none, starting, healthy or unhealthy"]
    exit_code: Annotated[int | None, "exit code of the last run; null while it runs"]
    restarts: Annotated[int, "restarts by the Engine under the restart policy"]
    oom_kills: Annotated[int, "times the kernel killed it for want of memory, as far as the agent saw"]
    started_timestamp_seconds: Annotated[float | None, "last start, Unix time"]
    finished_timestamp_seconds: Annotated[float | None, "last end, Unix time"]
    uptime_seconds: Annotated[float | None, "how long it has been running; null while it does not"]
    cpu_cores: Annotated[float | None, "CPU in use, 1 is one core; docker stats shows 100 % for it"]
    cpu_limit_cores: Annotated[float | None, "CPU limit; null without one"]
    cpu_limit_ratio: Annotated[float | None, "CPU in use as a share of the limit; null without one"]
    memory_working_set_bytes: Annotated[
        int | None, "memory in use without inactive file cache, as docker stats"
    ]
    memory_limit_bytes: Annotated[int | None, "memory limit; null without one"]
    memory_limit_ratio: Annotated[float | None, "memory in use as a share of the limit; null without one"]
    network_receive_bytes_per_second: Annotated[float | None, "received over its own interfaces"]
    network_transmit_bytes_per_second: Annotated[float | None, "sent over its own interfaces"]
    block_read_bytes_per_second: Annotated[float | None, "read from block devices"]
    block_write_bytes_per_second: Annotated[float | None, "written to block devices"]
    pids: Annotated[int | None, "processes and threads"]

    @property
    def running(self) -> bool:
        """Whether it has processes: running or paused."""
        return self.state in ("running", "paused")


@dataclass(frozen=True, slots=True)
class Overview:
    """A host with its containers at one moment."""

    timestamp_seconds: Annotated[float, "when this was read, Unix time"]
    host: Annotated[HostOverview, "the host"]
    containers: Annotated[tuple[ContainerRow, ...], "its containers"]


def meanings(kind: type[Overview | HostOverview | ContainerRow]) -> dict[str, str]:
    """Return what each key of the JSON form means, in order."""
    hints = get_type_hints(kind, include_extras=True)
    return {name: hint.__metadata__[0] for name, hint in hints.items()}
