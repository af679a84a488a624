"""The thread that sends metrics to a collector."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from compose_agent.otlp import partial_success
from compose_agent.tracing.post import Answer, Later, Refused, Taken

logger = logging.getLogger(__name__)

# What became of a request.
TAKEN, REJECTED, REFUSED, FAILED = "taken", "rejected", "refused", "failed"
_STOP_SECONDS = 2.0


class Sender(Protocol):
    """Sends requests to a collector, as Poster does."""

    def post(self, body: bytes, timeout: float) -> Answer:
        """Send one request within ``timeout`` seconds."""

    def close(self) -> None:
        """Let go of the connection."""


class Pusher:
    """Sends what ``requests`` gives, every ``interval`` seconds; ``count`` hears what became of each request.

    Nothing is kept for later: counters go on counting, so that the next push says what this one would have,
    and of gauges the newest counts. A collector that asks for patience is left alone until then.
    """

    def __init__(
        self,
        requests: Callable[[], Iterator[bytes]],
        sender: Sender,
        *,
        interval: float,
        timeout: float,
        count: Callable[[str], None],
    ) -> None:
        self._requests = requests
        self._sender = sender
        self._interval = interval
        self._timeout = timeout
        self._count = count
        self._not_before = 0.0
        self._said = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="push", daemon=True)

    def start(self) -> None:
        """Begin; the first push comes after one interval."""
        self._thread.start()

    def stop(self) -> None:
        """Push no more, and return within two seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(self._interval):
            try:
                if time.monotonic() >= self._not_before:
                    self.push()
            except Exception:  # the next one must come, whatever this one met
                logger.exception("fault in pushing metrics")
                self._count(FAILED)
        self._sender.close()

    def push(self) -> None:
        """Push once."""
        for body in self._requests():
            if not self._pushed(self._sender.post(body, self._timeout)):
                return

    def _pushed(self, answer: Answer) -> bool:
        """Take note of an answer, and return whether to go on."""
        match answer:
            case Taken(body):
                rejected, words = partial_success(body)
                self._count(REJECTED if rejected else TAKEN)
                self._say(f"the collector has rejected {rejected} data points: {words}" if rejected else "")
                return True
            case Refused(words):
                self._count(REFUSED)
                self._say(words)
                return True
            case Later(words, after):
                self._count(FAILED)
                self._not_before = time.monotonic() + after
                self._say(words)
                return False

    def _say(self, words: str) -> None:
        """Log what is wrong once, and once that it is well again."""
        if words and words != self._said:
            logger.warning("metrics are not pushed", extra={"error": words})
        elif self._said and not words:
            logger.info("metrics are pushed again")
        self._said = words
