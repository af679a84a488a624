"""Reading many containers at once, each from the best source it has."""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.cgroup import Files, Mounts
from compose_agent.dockerd.usage.descriptors import most_kept
from compose_agent.dockerd.usage.locate import open_files, process_ended
from compose_agent.dockerd.usage.namespace import Namespace
from compose_agent.dockerd.usage.sample import Sample
from compose_agent.dockerd.usage.stats import sample_from_stats
from compose_agent.errors import EngineError, EngineNotFound

logger = logging.getLogger(__name__)

StatsCall = Callable[[str], Mapping[str, Any]]

# One call costs the Engine 4-10 ms of CPU, and before 23.0.8 a second of waiting: enough at once that a
# hundred containers fit into a scrape there, few enough that a newer Engine is not flooded.
STATS_THREADS = 24
# A disk that was plugged in gets its name within this time; reading them all costs 0.1 ms.
DEVICE_NAMES_SECONDS = 60.0
# What the kernel answers on the files of a cgroup or process that ended.
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT)


@dataclass(frozen=True, slots=True)
class Readings:
    """Samples by container id, and how many containers each source served (``none``: unreadable)."""

    samples: Mapping[str, Sample]
    sources: Mapping[str, int]
    errors: tuple[str, ...] = ()


@dataclass(slots=True)
class _Life:
    """The open files of one run of a container: a restart is another run, with another cgroup."""

    run: tuple[int, float | None]
    files: Files


@dataclass(slots=True)
class _Found:
    samples: dict[str, Sample] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=lambda: {"cgroup": 0, "api": 0, "none": 0})
    errors: list[str] = field(default_factory=list)

    def put(self, source: str, container: Container, sample: Sample | None) -> None:
        self.sources[source if sample else "none"] += 1
        if sample:
            self.samples[container.id] = sample


class UsageReader:
    """Keeps files of running containers open; falls back to the stats API where they cannot be read.

    ``stats`` is the client's call; ``source`` is ``auto``, or ``cgroup`` or ``api`` to forbid the other
    way. Thread-safe.
    """

    def __init__(self, mounts: Mounts, stats: StatsCall, *, source: str = "auto") -> None:
        self._mounts = mounts
        self._namespace = Namespace(mounts.cgroupfs)
        self._stats = stats
        self._source = source
        self._lock = threading.Lock()
        self._closed = False
        self._lives: dict[str, _Life] = {}
        self._files_seen = False
        self._devices = mounts.device_names()
        self._devices_due = time.monotonic() + DEVICE_NAMES_SECONDS
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[str, Future[Mapping[str, Any]]] = {}

    def read(self, containers: Iterable[Container], timeout: float) -> Readings:
        """Return a fresh sample of every running container that can be read within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        alive = [container for container in containers if container.alive]
        found = _Found()
        with self._lock:
            self._name_devices()
            unread = alive if self._source == "api" else self._from_all_files(alive, found)
            asked = {} if self._source == "cgroup" else self._ask_all(unread)
        self._collect(unread, asked, deadline, found)
        return Readings(found.samples, found.sources, tuple(found.errors))

    def close(self) -> None:
        """Give back every descriptor and thread; a reading from now on finds nothing."""
        with self._lock:
            self._closed = True
            self._close_all_but(set())
            if self._pool:
                self._pool.shutdown(wait=False, cancel_futures=True)

    def _name_devices(self) -> None:
        if time.monotonic() >= self._devices_due:
            self._devices.update(self._mounts.device_names())
            self._devices_due = time.monotonic() + DEVICE_NAMES_SECONDS

    def _from_all_files(self, alive: list[Container], found: _Found) -> list[Container]:
        """Read files, and return the containers of which there are none."""
        if self._closed:
            return alive
        self._close_all_but({container.id for container in alive})
        return [container for container in alive if not self._from_files(container, found)]

    def _from_files(self, container: Container, found: _Found) -> bool:
        """Read one container's files; False when that cannot be had and another source may know."""
        run = (container.pid, container.started_at)
        life = self._lives.get(container.id)
        if life is None or life.run != run:
            life = self._open(container, run)
            if life is None:
                return self._just_ended(container, found)
        try:
            sample = life.files.read()
        except (OSError, ValueError, KeyError, IndexError) as error:
            self._drop(container.id)
            if isinstance(error, OSError) and error.errno in _GONE:
                # It died in this moment, and the event is on its way.
                found.put("none", container, None)
                return True
            found.errors.append(f"{container.name}: {type(error).__name__} {error}")
            return False
        if self._source == "auto" and container.owns_network and sample.networks is None:
            return False  # /proc hides its process from us, and the API tells the network too
        found.put("cgroup", container, sample)
        return True

    def _open(self, container: Container, run: tuple[int, float | None]) -> _Life | None:
        self._drop(container.id)
        keep = len(self._lives) < most_kept()
        files = open_files(container, self._mounts, self._devices, keep=keep, namespace=self._namespace)
        if files is None:
            return None
        self._files_seen = True
        life = self._lives[container.id] = _Life(run, files)
        return life

    def _just_ended(self, container: Container, found: _Found) -> bool:
        """Note a container whose process ended before the event came, on a host whose files can be read.

        The stats API would know no more of it, and costs the Engine a call.
        """
        ended = self._files_seen and process_ended(container, self._mounts)
        if ended:
            found.put("none", container, None)
        return ended

    def _drop(self, container_id: str) -> None:
        if life := self._lives.pop(container_id, None):
            life.files.close()

    def _close_all_but(self, ids: set[str]) -> None:
        for container_id in self._lives.keys() - ids:
            self._drop(container_id)

    def _ask_all(self, containers: list[Container]) -> dict[str, Future[Mapping[str, Any]]]:
        """Send a call for each container, or join the one that is under way."""
        if self._closed or not containers:
            return {}
        if self._pool is None:
            self._pool = ThreadPoolExecutor(STATS_THREADS, thread_name_prefix="engine-stats")
        # What came after its deadline is old: only calls that still hang are worth remembering.
        self._pending = {key: future for key, future in self._pending.items() if not future.done()}
        for container in containers:
            if container.id not in self._pending:
                self._pending[container.id] = self._pool.submit(self._stats, container.id)
        return {container.id: self._pending[container.id] for container in containers}

    def _collect(
        self,
        containers: list[Container],
        asked: Mapping[str, Future[Mapping[str, Any]]],
        deadline: float,
        found: _Found,
    ) -> None:
        wait(asked.values(), timeout=max(0.0, deadline - time.monotonic()))
        for container in containers:
            future = asked.get(container.id)
            found.put("api", container, self._answer(container, future, found) if future else None)

    def _answer(
        self, container: Container, future: Future[Mapping[str, Any]], found: _Found
    ) -> Sample | None:
        if not future.done():
            found.errors.append(f"{container.name}: the Engine gave no stats in time")
            return None
        try:
            return sample_from_stats(
                future.result(), own_network=container.owns_network, devices=self._devices
            )
        except (EngineNotFound, CancelledError):
            return None  # the container, or this reader, went away meanwhile
        except EngineError as error:
            found.errors.append(f"{container.name}: {error}")
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            found.errors.append(f"{container.name}: unexpected stats ({type(error).__name__} {error})")
        return None
