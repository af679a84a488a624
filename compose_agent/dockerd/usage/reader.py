"""Reading many containers at once, each from the best source it has."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage.cgroup import Files, Mounts
from compose_agent.dockerd.usage.locate import open_files
from compose_agent.dockerd.usage.sample import Sample
from compose_agent.dockerd.usage.stats import sample_from_stats
from compose_agent.errors import EngineError

logger = logging.getLogger(__name__)

StatsCall = Callable[[str], Mapping[str, Any]]

# One call costs the Engine 4-10 ms of CPU, and before 23.0.8 a second of waiting: enough at once that a
# hundred containers fit into a scrape there, few enough that a newer Engine is not flooded.
STATS_THREADS = 24


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
        self._stats = stats
        self._source = source
        self._lock = threading.Lock()
        self._lives: dict[str, _Life] = {}
        self._files_seen = False
        self._devices = mounts.device_names()
        self._pool: ThreadPoolExecutor | None = None
        self._pending: dict[str, Future[Mapping[str, Any]]] = {}

    def read(self, containers: Iterable[Container], timeout: float) -> Readings:
        """Return a fresh sample of every running container that can be read within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        alive = [container for container in containers if container.alive]
        found = _Found()
        unread = alive
        if self._source != "api":
            with self._lock:
                self._close_all_but({container.id for container in alive})
                unread = [container for container in alive if not self._from_files(container, found)]
        if self._source == "cgroup":
            for container in unread:
                found.put("none", container, None)
        elif unread:
            self._from_api(unread, deadline, found)
        return Readings(found.samples, found.sources, tuple(found.errors))

    def close(self) -> None:
        """Give back every descriptor and thread."""
        with self._lock:
            self._close_all_but(set())
        if self._pool:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _from_files(self, container: Container, found: _Found) -> bool:
        """Read one container's files; False when that cannot be had and another source may know."""
        run = (container.pid, container.started_at)
        life = self._lives.get(container.id)
        if life is None or life.run != run:
            life = self._open(container, run)
            if life is None:
                return self._just_ended(container, found)
        try:
            found.put("cgroup", container, life.files.read())
        except OSError:
            # Its cgroup went away: it died in this moment, and the event is on its way.
            self._drop(container.id)
            found.put("none", container, None)
        except (ValueError, KeyError, IndexError) as error:
            self._drop(container.id)
            found.errors.append(f"{container.name}: {type(error).__name__} {error}")
            return False
        return True

    def _open(self, container: Container, run: tuple[int, float | None]) -> _Life | None:
        self._drop(container.id)
        files = open_files(container, self._mounts, self._devices)
        if files is None:
            return None
        self._files_seen = True
        life = self._lives[container.id] = _Life(run, files)
        return life

    def _just_ended(self, container: Container, found: _Found) -> bool:
        """Note a container whose process is gone before the event came, on a host whose files can be read.

        The stats API would not know more of it, and costs the Engine a call.
        """
        ended = self._files_seen and not (self._mounts.procfs / str(container.pid)).exists()
        if ended:
            found.put("none", container, None)
        return ended

    def _drop(self, container_id: str) -> None:
        if life := self._lives.pop(container_id, None):
            life.files.close()

    def _close_all_but(self, ids: set[str]) -> None:
        for container_id in self._lives.keys() - ids:
            self._drop(container_id)

    def _from_api(self, containers: list[Container], deadline: float, found: _Found) -> None:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(STATS_THREADS, thread_name_prefix="engine-stats")
            asked = {container.id: self._ask(container.id) for container in containers}
        wait([f for f in asked.values() if f], timeout=max(0.0, deadline - time.monotonic()))
        for container in containers:
            found.put("api", container, self._answer(container, asked[container.id], found))

    def _ask(self, container_id: str) -> Future[Mapping[str, Any]] | None:
        """Send the call, unless an earlier one of this container still hangs: its answer would be old."""
        assert self._pool is not None  # noqa: S101 - the caller made it
        before = self._pending.get(container_id)
        if before and not before.done():
            return None
        future = self._pending[container_id] = self._pool.submit(self._stats, container_id)
        return future

    def _answer(
        self, container: Container, future: Future[Mapping[str, Any]] | None, found: _Found
    ) -> Sample | None:
        if future is None or not future.done():
            return None
        self._pending.pop(container.id, None)
        try:
            return sample_from_stats(
                future.result(), own_network=container.owns_network, devices=self._devices
            )
        except EngineError as error:
            found.errors.append(f"{container.name}: {error}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.errors.append(f"{container.name}: unexpected stats ({type(error).__name__} {error})")
        return None
