"""Carries what has changed from memory to disk, many changes in one transaction."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from compose_agent.errors import StateError
from fleet.manager.model import Node, Transition
from fleet.manager.registry import Registry
from fleet.manager.store import Store

logger = logging.getLogger(__name__)

# What a manager forgets when it is killed; a heartbeat comes each 30 s anyhow.
_EVERY_SECONDS = 2.0
# While the disk is full the history of a storm must not fill the memory as well.
_MOST_WAITING = 100_000


class Writer:
    """``note`` takes transitions; a thread writes them together with the nodes that have changed.

    ``history`` is not to be asked with the registry's lock held.
    """

    def __init__(self, store: Store, failed: Callable[[], None], every: float = _EVERY_SECONDS) -> None:
        self._store = store
        self._failed = failed
        self._every = every
        self._waiting: list[Transition] = []
        self._stopping = threading.Event()
        self._flushing = threading.Lock()  # what is newer must be written later
        self._thread: threading.Thread | None = None
        self._registry: Registry | None = None
        self.error = ""

    def note(self, transition: Transition) -> None:
        """Keep a transition until it is written."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(transition)

    def history(self, uid: bytes, most: int) -> list[Transition]:
        """Return the last changes of a node's state, the newest first: those that wait, and those on disk."""
        with self._flushing:  # nothing is on its way from one to the other
            waiting = [each for each in reversed(self._waiting[:]) if each.uid == uid][:most]
            return waiting + self._store.history(uid, most - len(waiting))

    def start(self, registry: Registry) -> None:
        """Begin to write what changes in ``registry``."""
        self._registry = registry
        self._thread = threading.Thread(target=self._run, name="manager-writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what there is, and end."""
        self._stopping.set()
        if self._thread:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Write what has changed; what cannot be is tried again the next time, and ``error`` says why."""
        with self._flushing:
            self._flush()

    def _flush(self) -> None:
        if self._registry is None:
            return
        with self._registry.lock():
            nodes, removed = self._registry.taken()
            copies: list[Node] = [replace(node) for node in nodes]
            history, self._waiting = self._waiting, []
        if not (copies or removed or history):
            return
        try:
            self._store.write(copies, removed, history)
        except StateError as error:
            self._give_back(copies, removed, history)
            self._say(str(error))
        else:
            self._say("")

    def _give_back(self, nodes: list[Node], removed: list[bytes], history: list[Transition]) -> None:
        assert self._registry is not None  # noqa: S101 - nothing was taken otherwise
        with self._registry.lock():
            self._registry.changed.update(node.uid for node in nodes)
            self._registry.removed.update(removed)
            self._waiting = (history + self._waiting)[:_MOST_WAITING]
        self._failed()

    def _say(self, error: str) -> None:
        if error and not self.error:
            logger.error("the state cannot be written, it is kept in memory", extra={"error": error})
        elif self.error and not error:
            logger.info("the state is written again")
        self.error = error
