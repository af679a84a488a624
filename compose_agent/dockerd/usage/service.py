"""What Compose services use: the samples of their containers, as rates over a window, and summed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, Protocol

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.reader import Readings

# Long enough to even out a garbage collection, short enough that a rush is seen while it lasts.
WINDOW_SECONDS = 15.0
# The kernel counts CPU in ticks of 10 ms: a rate over less than this is noise.
LEAST_SECONDS = 0.5

# A Compose service: project and service.
ServiceKey = tuple[str, str]


class ReplicaUsage(NamedTuple):
    """What one container uses; None where it is unknown, or not yet known."""

    cpu_cores: float | None
    memory_bytes: int | None


class ServiceUsage(NamedTuple):
    """What the running containers of a service use together, and each by its id.

    A sum is of those that are known, and None when none is.
    """

    cpu_cores: float | None
    memory_bytes: int | None
    replicas: Mapping[str, ReplicaUsage]


class _Moment(NamedTuple):
    at: float
    run: tuple[int, float | None]
    cpu_seconds: float


class UsageSource(Protocol):
    """What is asked of a :class:`~compose_agent.dockerd.usage.UsageReader`."""

    def read(self, containers: Iterable[Container], timeout: float) -> Readings: ...  # noqa: D102


class ServiceMeter:
    """Reads the containers that it is given each time, and remembers their counters for ``window`` seconds.

    Its reader is its own: one that is shared would close files that others still need. Not thread-safe.
    """

    def __init__(
        self,
        reader: UsageSource,
        window: float = WINDOW_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reader = reader
        self._window = window
        self._clock = clock
        self._kept: dict[str, deque[_Moment]] = {}

    def read(self, containers: Iterable[Container], timeout: float) -> dict[ServiceKey, ServiceUsage]:
        """Return the usage of the services that these containers are of; waits ``timeout`` at most."""
        running = [each for each in containers if each.alive]
        samples = self._reader.read(running, timeout).samples
        self._kept = {each.id: self._kept.get(each.id, deque()) for each in running}
        found: dict[ServiceKey, dict[str, ReplicaUsage]] = {}
        for container in running:
            sample = samples.get(container.id)
            cores = self._cores(container, sample.cpu_seconds) if sample else None
            usage = ReplicaUsage(cores, sample.working_set_bytes if sample else None)
            found.setdefault((container.compose_project, container.compose_service), {})[container.id] = usage
        return {key: summed(replicas) for key, replicas in found.items()}

    def _cores(self, container: Container, cpu_seconds: float) -> float | None:
        """Return the rate since the oldest moment within the window, of the same run."""
        kept = self._kept[container.id]
        now = _Moment(self._clock(), (container.pid, container.started_at), cpu_seconds)
        while kept and (kept[0].at < now.at - self._window or kept[0].run != now.run):
            kept.popleft()
        kept.append(now)
        seconds, used = now.at - kept[0].at, cpu_seconds - kept[0].cpu_seconds
        return used / seconds if seconds >= LEAST_SECONDS and used >= 0 else None


def summed(replicas: Mapping[str, ReplicaUsage]) -> ServiceUsage:
    """Return the usage of a service with these replicas."""
    cores = [each.cpu_cores for each in replicas.values() if each.cpu_cores is not None]
    memory = [each.memory_bytes for each in replicas.values() if each.memory_bytes is not None]
    return ServiceUsage(sum(cores) if cores else None, sum(memory) if memory else None, replicas)
