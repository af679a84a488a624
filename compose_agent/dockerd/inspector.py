"""A few threads that inspect the containers that changed, each at most once at a time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from compose_agent.dockerd.ledger import Ledger
from compose_agent.dockerd.model import container_from_inspect
from compose_agent.errors import EngineError, EngineNotFound

logger = logging.getLogger(__name__)

# An inspect takes the container's lock and hangs with it: one stuck container must not hold up the others.
INSPECTORS = 4
# A container whose inspect failed is asked for again, but not in a tight loop.
RETRY_SECONDS = 2.0


class Inspector:
    """Takes ids, inspects them, puts the result into the ledger.

    An id that is asked for while it waits is inspected once; while it is being inspected, once more
    afterwards, because the answer may be from before the change.
    """

    def __init__(
        self,
        inspect: Callable[[str], dict[str, Any]],
        ledger: Ledger,
        threads: int = INSPECTORS,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._inspect = inspect
        self._ledger = ledger
        self._retry_seconds = retry_seconds
        self._changed = threading.Condition()
        self._waiting: dict[str, bool] = {}  # id → whether a change was to be expected
        self._in_flight: set[str] = set()
        self._retries: dict[str, threading.Timer] = {}
        self._listed = False
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"engine-inspect-{n}", daemon=True)
            for n in range(threads)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads end after what they are doing."""
        with self._changed:
            self._stopped = True
            for timer in self._retries.values():
                timer.cancel()
            self._changed.notify_all()

    def ask(self, container_id: str) -> None:
        """Have one container inspected."""
        with self._changed:
            self._waiting[container_id] = True
            self._changed.notify_all()  # a single one might be somebody in wait_settled

    def ask_all(self, container_ids: Iterable[str], *, changed: bool) -> None:
        """Have a whole list inspected; an empty one counts as settled too.

        ``changed`` says whether changes are to be expected: without it, each one found means missed events.
        """
        with self._changed:
            for container_id in container_ids:
                self._waiting[container_id] = changed or self._waiting.get(container_id, False)
            self._listed = True
            self._changed.notify_all()

    def wait_settled(self, timeout: float) -> bool:
        """Wait until everything listed so far was inspected, with whatever result."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._listed and not self._waiting and not self._in_flight, timeout
            )

    def _work(self) -> None:
        while job := self._take():
            container_id, expected = job
            try:
                container = container_from_inspect(self._inspect(container_id))
                self._ledger.put(container, expected=expected or self._announced(container_id))
            except EngineNotFound:
                self._ledger.forget(container_id)
            except EngineError as error:
                logger.warning("cannot inspect", extra={"container": container_id[:12], "error": str(error)})
                self._retry(container_id)
            finally:
                self._done(container_id)

    def _take(self) -> tuple[str, bool] | None:
        with self._changed:
            while not self._stopped:
                for container_id in self._waiting:
                    if container_id not in self._in_flight:
                        self._in_flight.add(container_id)
                        return container_id, self._waiting.pop(container_id)
                self._changed.wait()
            return None

    def _announced(self, container_id: str) -> bool:
        """Tell whether an event came while the inspect was under way: it may have shown that change."""
        with self._changed:
            return self._waiting.get(container_id, False)

    def _done(self, container_id: str) -> None:
        with self._changed:
            self._in_flight.discard(container_id)
            self._changed.notify_all()

    def _retry(self, container_id: str) -> None:
        with self._changed:
            if self._stopped or container_id in self._retries:
                return
            timer = threading.Timer(self._retry_seconds, self._ask_again, [container_id])
            timer.daemon = True
            self._retries[container_id] = timer
            timer.start()

    def _ask_again(self, container_id: str) -> None:
        with self._changed:
            self._retries.pop(container_id, None)
        self.ask(container_id)
