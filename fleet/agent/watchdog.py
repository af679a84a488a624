"""Makes a new link when the one there is stands still, whatever the reason."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from fleet.agent.link import Link

logger = logging.getLogger(__name__)

# More than everything that a link waits for, one behind the other.
STUCK_SECONDS = 90.0
_LOOK_SECONDS = 5.0
_GOODBYE_SECONDS = 3.0


class Watchdog:
    """Holds the link in force; ``make`` gives a fresh one."""

    def __init__(
        self, make: Callable[[], Link], stuck: float = STUCK_SECONDS, look: float = _LOOK_SECONDS
    ) -> None:
        self._make = make
        self._stuck = stuck
        self._look = look
        self._stopping = threading.Event()
        self._changing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="agent-watchdog", daemon=True)
        self.link = make()
        self.rebuilt = 0

    def start(self) -> None:
        """Start the link, and look after it."""
        self.link.start()
        self._thread.start()

    def stop(self) -> None:
        """Stop both, with a goodbye to the manager."""
        self._stopping.set()
        with self._changing:
            self.link.stop(_GOODBYE_SECONDS)
        self._thread.join()

    def renew(self) -> None:
        """Give the link up for a fresh one: its manager, or how it is reached, is another one now."""
        with self._changing:
            self.link.abandon()
            self.link = self._make()
            self.link.start()

    def _run(self) -> None:
        while not self._stopping.wait(self._look):
            if time.monotonic() - self.link.progress > self._stuck:
                logger.error(
                    "the link to the manager is stuck, it is made anew",
                    extra={"status": self.link.status, "where": self.link.where()},
                )
                self.renew()
                self.rebuilt += 1
