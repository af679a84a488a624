"""What a courier and its observers share: pauses between attempts, and how the sink is."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from compose_agent.errors import ComposeAgentError
from log_forwarder.sinks.contract import SinkUnavailable

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
# Longest pause between attempts, so that a sink that returns is seen within seconds.
LAST_PAUSE_SECONDS = 5.0
# Hosts that lost the same sink must not all return at once.
_JITTER = 0.25
# A sink that asks to be left alone is, but not for longer than this.
_LONGEST_WISH_SECONDS = 60.0
# How often a courier without work looks whether it is to stop; the end of its outbox wakes it at once.
IDLE_SECONDS = 5.0


@dataclass(slots=True)
class Health:
    """How delivery to a sink goes; ``error`` is empty while it goes well. Times: monotonic clock."""

    error: str = ""
    last_success: float = field(default_factory=time.monotonic)
    attempts: int = 0
    retried: int = 0
    failures: Counter[str] = field(default_factory=Counter)


class Pauses:
    """Growing pauses with jitter, until a success; ``stop`` cuts every pause short."""

    def __init__(self, name: str, health: Health, stop: threading.Event) -> None:
        self._name = name
        self._health = health
        self._stop = stop
        self._next = FIRST_PAUSE_SECONDS

    def success(self) -> None:
        """Note a success."""
        if self._health.error:
            logger.info("sink is back", extra={"sink": self._name})
        self._health.error = ""
        self._health.last_success = time.monotonic()
        self._next = FIRST_PAUSE_SECONDS

    def trouble(self, what: str) -> None:
        """Note what holds the sink up while it tries again by itself, and say so once."""
        if not self._health.error:
            logger.warning("sink is held up", extra={"sink": self._name, "error": what})
        self._health.error = what

    def shorten(self) -> None:
        """Have the next pause be a short one, because something else is tried after it."""
        self._next = FIRST_PAUSE_SECONDS

    def failure(self, error: ComposeAgentError, kind: str = "unavailable") -> None:
        """Note a failure, say so once, and wait."""
        if not self._health.error:
            logger.warning("sink failed; trying again", extra={"sink": self._name, "error": str(error)})
        self._health.error = str(error)
        self._health.failures[kind] += 1
        wish = error.retry_after if isinstance(error, SinkUnavailable) else 0.0
        pause = self._next * random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 - jitter
        self._next = min(self._next * 2, LAST_PAUSE_SECONDS)
        self._stop.wait(max(pause, min(wish, _LONGEST_WISH_SECONDS)))
