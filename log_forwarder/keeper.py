"""Writing positions down, several times a second and all of them together."""

from __future__ import annotations

import logging
import threading

from log_forwarder.event import Position
from log_forwarder.store import StateError, Store

logger = logging.getLogger(__name__)

# What a kill loses are positions of this long, and then lines are sent twice to sinks that cannot tell.
INTERVAL_SECONDS = 0.25
# After a failure, such as a full disk.
_RETRY_SECONDS = 2.0


class Keeper:
    """Gathers positions and writes the newest of each."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._fresh: dict[tuple[str, str], Position] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keep positions", daemon=True)

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left; raises StateError."""
        self._stop.set()
        self._thread.join()
        self.flush()

    def keep(self, key: tuple[str, str], position: Position) -> None:
        """Take the position of (sink, container)."""
        with self._lock:
            self._fresh[key] = position

    def positions(self, sink: str) -> dict[str, Position]:
        """Return the positions of a sink by container id, also those that are not written yet."""
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

    def flush(self) -> None:
        """Write what is new; raises StateError and keeps it."""
        with self._writing:
            with self._lock:
                fresh = dict(self._fresh)
            if fresh:
                self._store.keep(fresh)
            with self._lock:
                # What became newer meanwhile stays for the next time.
                self._fresh = {key: each for key, each in self._fresh.items() if fresh.get(key) is not each}

    def _run(self) -> None:
        pause = INTERVAL_SECONDS
        while not self._stop.wait(pause):
            try:
                self.flush()
                pause = INTERVAL_SECONDS
            except StateError as error:
                pause = _RETRY_SECONDS
                logger.error(str(error))  # noqa: TRY400 - the sentence says it all
