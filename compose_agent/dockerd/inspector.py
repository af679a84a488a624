"""A few threads that inspect the containers that changed, each at most once at a time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from compose_agent.dockerd.declared import NOTHING, Declared, labelled
from compose_agent.dockerd.ledger import Ledger
from compose_agent.dockerd.model import container_from_inspect
from compose_agent.errors import EngineError, EngineNotFound, EngineTimeout

logger = logging.getLogger(__name__)

# An inspect takes the container's lock and hangs with it: one stuck container must not hold up the others.
INSPECTORS = 4
# Containers known to be stuck share half of the threads, however many they are.
STUCK_INSPECTORS = INSPECTORS // 2
# A container whose inspect failed is asked for again, but not in a tight loop.
RETRY_SECONDS = 2.0
_STUCK = EngineTimeout.__name__


class Inspector:
    """Takes ids, inspects them, puts the result into the ledger.

    An id that is asked for while it waits is inspected once; while it is being inspected, once more
    afterwards, because the answer may be from before the change. An inspect that failed is tried again
    after ``retry_seconds``, until it is answered or the Engine is lost. ``on_look`` is called after each one,
    ``declared`` adds labels to those that stand on a container.
    """

    def __init__(
        self,
        inspect: Callable[[str], dict[str, Any]],
        ledger: Ledger,
        threads: int = INSPECTORS,
        retry_seconds: float = RETRY_SECONDS,
        *,
        on_look: Callable[[], None] = lambda: None,
        declared: Declared = NOTHING,
    ) -> None:
        self._inspect = inspect
        self._on_look = on_look
        self._declared = declared
        self._ledger = ledger
        self._retry_seconds = retry_seconds
        self._changed = threading.Condition()
        self._waiting: dict[str, bool] = {}  # id → whether a change was to be expected
        self._in_flight: set[str] = set()
        self._retries: dict[str, float] = {}  # id → when, in order of time
        self._unseen: dict[str, bool] = {}  # ids of the last connect not yet tried → whether one is under way
        self._failing: dict[str, str] = {}  # id → kind of its last error
        self._listed = False
        self._paused = False
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"engine-inspect-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 0.0) -> None:
        """Let the threads end after what they are doing, and wait ``timeout`` seconds for them."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def ask(self, container_id: str) -> None:
        """Have one container inspected, unless the Engine is lost."""
        with self._changed:
            if self._paused:
                return
            self._waiting[container_id] = True
            self._changed.notify_all()  # a single one might be somebody in wait_settled

    def ask_all(self, container_ids: Iterable[str], *, changed: bool) -> None:
        """Have a whole list inspected; an empty one counts as settled too.

        ``changed`` says that it is the list of a new connection, where changes are to be expected: without
        it, each one found means missed events, and nothing is asked while the Engine is lost.
        """
        with self._changed:
            ids = list(container_ids)
            if changed:
                self._listed, self._paused = True, False
                self._failing.clear()
                self._unseen = dict.fromkeys(ids, False)
            if not self._paused:
                for container_id in ids:
                    self._waiting[container_id] = changed or self._waiting.get(container_id, False)
            self._changed.notify_all()

    def pause(self) -> None:
        """Drop what waits, because the Engine is lost; the next connection's list brings it all back."""
        with self._changed:
            self._listed, self._paused = False, True
            self._waiting.clear()
            self._retries.clear()

    def wait_settled(self, timeout: float) -> bool:
        """Wait until everything in the last connection's list was inspected, with whatever result."""
        with self._changed:
            return self._changed.wait_for(lambda: self._listed and not self._unseen, timeout)

    def failing(self) -> frozenset[str]:
        """Return the ids of containers whose last inspect failed."""
        with self._changed:
            return frozenset(self._failing)

    def behind(self) -> frozenset[str]:
        """Return the ids of containers that have changed, or were tried in vain, and were not seen since."""
        with self._changed:
            changed = {each for each, expected in self._waiting.items() if expected}
            return frozenset(changed | self._in_flight | self._failing.keys())

    def _work(self) -> None:
        while job := self._take():
            container_id, expected = job
            try:
                container = labelled(container_from_inspect(self._inspect(container_id)), self._declared)
                self._ledger.put(container, expected=expected or self._announced(container_id))
                self._failing.pop(container_id, None)
            except EngineNotFound:
                self._ledger.forget(container_id)
                self._failing.pop(container_id, None)
            except Exception as error:  # noqa: BLE001 - outermost loop of a thread that all containers need
                self._failed(container_id, error)
            finally:
                self._done(container_id)
                self._on_look()

    def _take(self) -> tuple[str, bool] | None:
        with self._changed:
            while not self._stopped:
                pause = self._wake_retries()
                for container_id in self._waiting:
                    if container_id not in self._in_flight and not self._must_wait(container_id):
                        return self._taken(container_id)
                self._changed.wait(pause)
            return None

    def _must_wait(self, container_id: str) -> bool:
        """Tell whether a container whose last inspect hung must leave the threads to others for now."""
        stuck = [each for each in (*self._in_flight, container_id) if self._failing.get(each) == _STUCK]
        return container_id in stuck and len(stuck) > STUCK_INSPECTORS

    def _taken(self, container_id: str) -> tuple[str, bool]:
        self._in_flight.add(container_id)
        self._retries.pop(container_id, None)
        if container_id in self._unseen:
            self._unseen[container_id] = True
        return container_id, self._waiting.pop(container_id)

    def _wake_retries(self) -> float | None:
        """Move retries whose time has come to those that wait; return the seconds to the next, if any."""
        now = time.monotonic()
        while self._retries:
            container_id, due = next(iter(self._retries.items()))
            if due > now:
                return due - now
            del self._retries[container_id]
            self._waiting.setdefault(container_id, True)
        return None

    def _announced(self, container_id: str) -> bool:
        """Tell whether an event came while the inspect was under way: it may have shown that change."""
        with self._changed:
            return self._waiting.get(container_id, False)

    def _done(self, container_id: str) -> None:
        with self._changed:
            self._in_flight.discard(container_id)
            if self._unseen.get(container_id):
                del self._unseen[container_id]
            self._changed.notify_all()

    def _failed(self, container_id: str, error: Exception) -> None:
        """Plan another try, and log an error of a kind that this container did not just have."""
        with self._changed:
            kind = type(error).__name__
            new = not self._paused and self._failing.get(container_id) != kind
            self._failing[container_id] = kind
            if not self._paused:
                self._retries.pop(container_id, None)
                self._retries[container_id] = time.monotonic() + self._retry_seconds
                self._changed.notify_all()
        if new:
            extra = {"container": container_id[:12], "error": str(error)}
            ours = None if isinstance(error, EngineError) else error
            logger.warning("cannot inspect", extra=extra, exc_info=ours)
