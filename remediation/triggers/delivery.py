"""The way of signals from a trigger to whoever writes them down."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from remediation.model import Signal

logger = logging.getLogger(__name__)

# Durable when it returns; raises when it could not be made so.
Receive = Callable[[Sequence[Signal]], None]

# A full disk does not become free by asking more often; a locked database does within this time.
RETRY_FIRST_SECONDS = 0.1
RETRY_LAST_SECONDS = 5.0


class Delivery:
    """Hands signals over, and again until they were taken; they keep their order.

    ``now`` gives Unix seconds, which become the time of receipt.
    """

    def __init__(self, receive: Receive, now: Callable[[], float] = time.time) -> None:
        self._receive = receive
        self._now = now

    def deliver(self, signals: Sequence[Signal], stop: threading.Event) -> bool:
        """Return True once they are durable, False when ``stop`` was set before that."""
        if not signals:
            return True
        at = self._now()
        stamped = [msgspec.structs.replace(each, received_at=at) for each in signals]
        wait = RETRY_FIRST_SECONDS
        while not self._taken(stamped, first=wait == RETRY_FIRST_SECONDS):
            if stop.wait(wait):
                return False
            wait = min(wait * 2, RETRY_LAST_SECONDS)
        return True

    def _taken(self, signals: Sequence[Signal], *, first: bool) -> bool:
        try:
            self._receive(signals)
        except Exception as error:  # noqa: BLE001 - whatever it is, these signals must not be lost
            if first:
                logger.warning("signals could not be written down", extra={"error": str(error)})
            return False
        return True
