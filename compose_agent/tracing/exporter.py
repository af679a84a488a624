"""The thread that takes spans out of the spool and to the collector."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from compose_agent.tracing.holding import Batch
from compose_agent.tracing.post import Answer, Later, Refused, Taken
from compose_agent.tracing.records import Span
from compose_agent.tracing.settings import Collector
from compose_agent.tracing.spool import Spool

logger = logging.getLogger(__name__)

# Why the collector does not have a span, in metrics and documents.
REFUSED = "refused"  # it answered that it will never take it
REJECTED = "rejected"  # it took the others of the request (partial success)

# Between attempts, doubled each time, with a fifth more or less so that hosts do not come together.
_FIRST_PAUSE, _LAST_PAUSE, _SPREAD = 1.0, 30.0, 0.2
# A collector may ask for more patience than that, but not for ever.
_MOST_PATIENCE = 300.0
# A power failure takes so much at most; see Spool.sync.
_SYNC_SECONDS = 5.0


class Sender(Protocol):
    """Sends requests to a collector, as Poster does."""

    def post(self, body: bytes, timeout: float) -> Answer:
        """Send one request within ``timeout`` seconds."""

    def close(self) -> None:
        """Let go of the connection."""


class Exporter:
    """Looks after a spool: exports what is in it, if there is a collector, and has it on the disk.

    ``encode`` makes a request of spans and their resource, ``partial`` says of an answer how many of them
    were not taken, and why. ``keep`` is called before the spool is synced, for what is not in it yet.
    """

    def __init__(
        self,
        spool: Spool,
        collector: Collector | None,
        make_sender: Callable[[Collector], Sender],
        encode: Callable[[Mapping[str, Any], Sequence[Span]], bytes],
        partial: Callable[[bytes], tuple[int, str]],
        *,
        keep: Callable[[], None] = lambda: None,
    ) -> None:
        self._spool = spool
        self._collector = collector
        self._sender = make_sender(collector) if collector else None
        self._encode = encode
        self._partial = partial
        self._keep = keep
        self._stop = threading.Event()
        self._deadline = float("inf")
        self._pause = 0.0
        self._said = ""
        self._most = collector.batch if collector else 0
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier process has left."""
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """Try once more to export what is there, and return within ``seconds``."""
        self._deadline = time.monotonic() + seconds
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(max(0.0, seconds))

    def _run(self) -> None:
        turn_at = synced = time.monotonic()
        while not self._stop.wait(max(0.0, min(turn_at, synced + _SYNC_SECONDS) - time.monotonic())):
            if time.monotonic() >= turn_at:
                self._turn()
                turn_at = time.monotonic() + (self._pause or self._delay())
            if time.monotonic() >= synced + _SYNC_SECONDS:  # also while the collector is left alone
                self._keep()
                self._spool.sync()
                synced = time.monotonic()
        # A collector that was away a moment ago is not waited for.
        if not self._pause and time.monotonic() < self._deadline:
            self._turn()
        if self._sender:
            self._sender.close()

    def _delay(self) -> float:
        return self._collector.delay if self._collector else _SYNC_SECONDS

    def _turn(self) -> None:
        try:
            while self._export_one() and not self._is_late():
                pass
        except Exception as error:  # the next turn must come, whatever this one met
            logger.exception("fault in exporting spans")
            self._wait(f"fault in exporting spans: {error!r}", 0.0)

    def _is_late(self) -> bool:
        return self._stop.is_set() and time.monotonic() >= self._deadline

    def _export_one(self) -> bool:
        """Send one batch; return whether to go on with the next one at once."""
        if not (self._sender and self._collector) or (batch := self._spool.batch(self._most)) is None:
            return False
        if not batch.spans:
            self._spool.settle(batch)
            return batch.lost > 0  # or it would turn for ever
        timeout = min(self._collector.timeout, max(0.1, self._deadline - time.monotonic()))
        match self._sender.post(self._encode(batch.resource, batch.spans), timeout):
            case Taken(body):
                self._settle(batch, *self._partial(body))
                return True
            case Refused(words):
                return self._refused(batch, words)
            case Later(words, after):
                self._wait(words, after)
                return False

    def _settle(self, batch: Batch, rejected: int, words: str) -> None:
        if rejected:
            logger.warning("the collector has rejected spans", extra={"spans": rejected, "said": words})
        self._spool.settle(batch, {REJECTED: rejected} if rejected else None)
        if self._said:
            logger.info("spans are exported again")
        self._pause, self._said = 0.0, ""
        if self._collector and self._most < self._collector.batch:  # it was halved: carefully up again
            self._most = min(self._collector.batch, self._most + 1 + self._most // 8)

    def _refused(self, batch: Batch, words: str) -> bool:
        """Halve a batch until what spoils it is alone, and give that up."""
        if len(batch.spans) > 1 and self._most > 1:
            self._most = max(1, min(self._most, len(batch.spans)) // 2)
            return True
        logger.warning("spans are dropped, the collector refuses them", extra={"said": words})
        self._spool.settle(batch, {REFUSED: len(batch.spans)})
        return True

    def _wait(self, words: str, after: float) -> None:
        if words != self._said:
            logger.warning("spans cannot be exported; they are kept", extra={"error": words})
        self._said = words
        self._pause = min(max(self._pause * 2, _FIRST_PAUSE), _LAST_PAUSE) * random.uniform(  # noqa: S311
            1 - _SPREAD, 1 + _SPREAD
        )
        self._pause = max(self._pause, min(after, _MOST_PATIENCE))
