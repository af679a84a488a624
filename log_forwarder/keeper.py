"""Writing positions down, several times a second and all of them together."""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from compose_agent.errors import StateError
from log_forwarder.event import Mark, Position
from log_forwarder.store import Store

logger = logging.getLogger(__name__)

# What a kill loses are positions of this long, and then lines are sent twice to sinks that cannot tell.
INTERVAL_SECONDS = 0.25
# After a failure, such as a full disk.
_RETRY_SECONDS = 2.0
# Sinks look back only so far for what may be stored already: what is not written down must not pile up.
MOST_UNWRITTEN_SECONDS = 1.5


@dataclass(slots=True)
class ContainerBooks:
    """What is remembered of one container for one sink; see ``sources.follower.Books``."""

    key: tuple[str, str]
    keeper: Keeper
    position: Position | None = None
    reserved: Mark | None = None

    def keep(self, position: Position) -> None:
        """Take a position; it is written soon."""
        self.position = position
        self.keeper.keep(self.key, position)

    def reserve(self, mark: Mark) -> None:
        """Write at once that lines before ``mark`` may be sent; raises StateError."""
        self.keeper.reserve(self.key, mark)
        self.reserved = mark


class SinkBooks:
    """What is remembered for one sink, by container id."""

    def __init__(self, sink: str, keeper: Keeper) -> None:
        self._sink = sink
        self._keeper = keeper
        self._books: dict[str, ContainerBooks] = {}
        for container_id, position in keeper.positions(sink).items():
            self.of(container_id).position = position
        for container_id, mark in keeper.reserved(sink).items():
            self.of(container_id).reserved = mark

    def of(self, container_id: str) -> ContainerBooks:
        """Return what is remembered of a container, nothing for a new one."""
        return self._books.setdefault(container_id, ContainerBooks((self._sink, container_id), self._keeper))

    def forget(self, container_id: str) -> None:
        """Forget a container that is gone."""
        self._books.pop(container_id, None)

    def late(self) -> bool:
        """Tell whether positions wait so long to be written that no more lines should be sent."""
        return self._keeper.unwritten_seconds() > MOST_UNWRITTEN_SECONDS


class Keeper:
    """Gathers positions and writes the newest of each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._writing = threading.RLock()
        self._fresh: dict[tuple[str, str], Position] = {}
        self._fresh_since = 0.0
        self._news = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep positions", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left; raises StateError."""
        self._stop.set()
        self._news.set()
        self._thread.join()
        self.flush()

    def keep(self, key: tuple[str, str], position: Position) -> None:
        """Take the position of (sink, container)."""
        with self._lock:
            if not self._fresh:
                self._fresh_since = time.monotonic()
            self._fresh[key] = position
        self._news.set()

    def unwritten_seconds(self) -> float:
        """Return for how long the oldest position that is not written has been waiting; 0 without any."""
        with self._lock:
            return time.monotonic() - self._fresh_since if self._fresh else 0.0

    def reserve(self, key: tuple[str, str], mark: Mark) -> None:
        """Write down before which place lines of (sink, container) may be sent; raises StateError."""
        self._store.reserve(*key, mark)

    def reserved(self, sink: str) -> dict[str, Mark]:
        """Return before which places lines may have been sent to a sink, by container id."""
        return self._store.reserved(sink)

    def positions(self, sink: str) -> dict[str, Position]:
        """Return the positions of a sink by container id, also those that are not written yet."""
        with self._writing:
            written = self._store.positions(sink)
            with self._lock:
                fresh = {container: each for (name, container), each in self._fresh.items() if name == sink}
        return written | fresh

    def forget(self, container_id: str) -> None:
        """Forget a container that is gone, also what is not written yet; raises StateError."""
        with self._writing:
            with self._lock:
                self._fresh = {key: value for key, value in self._fresh.items() if key[1] != container_id}
            self._store.forget(container_id)

    def unmoved(self, seconds: float) -> set[str]:
        """Return the containers whose positions have not moved for so long; raises StateError."""
        return self._store.unmoved(seconds)

    def flush(self) -> None:
        """Write what is new; raises StateError and keeps it."""
        with self._writing:
            with self._lock:
                fresh, taken_at = dict(self._fresh), time.monotonic()
            if fresh:
                self._store.keep(fresh)
            with self._lock:
                # What became newer meanwhile stays for the next time.
                self._fresh = {key: each for key, each in self._fresh.items() if fresh.get(key) is not each}
                self._fresh_since = taken_at

    def _run(self) -> None:
        pause = INTERVAL_SECONDS
        while not self._stop.wait(pause):
            self._news.wait()
            self._news.clear()
            try:
                self.flush()
                pause = INTERVAL_SECONDS
            except StateError as error:
                pause = _RETRY_SECONDS
                self._news.set()
                logger.error(str(error))  # noqa: TRY400 - the sentence says it all
