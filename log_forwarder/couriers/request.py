"""Carrying requests one at a time: sort the answers, repeat what must be, split what is too large."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from log_forwarder.couriers.state import IDLE_SECONDS, Health, Pauses
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Answer, Entry, RequestSink, RequestTooLarge, SinkUnavailable

logger = logging.getLogger(__name__)


class RequestCourier:
    """Runs in a thread of its own until ``stop`` is set and the outbox is empty, or ``abandon`` is set."""

    def __init__(
        self, name: str, sink: RequestSink, outbox: Outbox, letters: DeadLetters, abandon: threading.Event
    ) -> None:
        self.health = Health()
        self._name = name
        self._sink = sink
        self._outbox = outbox
        self._letters = letters
        self._abandon = abandon
        self._pauses = Pauses(name, self.health, abandon)
        self._dead: Counter[int] = Counter()  # by identity of the batch

    def run(self, stop: threading.Event) -> None:
        """Deliver until there is nothing more to deliver."""
        while not self._abandon.is_set():
            batches = self._outbox.take(self._sink.most_bytes, IDLE_SECONDS)
            if batches:
                self._deliver(batches)
            elif stop.is_set():
                break
        self._sink.close()

    def _deliver(self, batches: Sequence[Batch]) -> None:
        entries = [entry for batch in batches for entry in self._encoded(batch)]
        # What may be stored already travels apart, so that only it is looked up.
        for again in (True, False):
            part = [entry for entry in entries if entry.batch.again is again and not entry.left_out]
            for start in range(0, len(part), self._sink.most_events):
                self._store(part[start : start + self._sink.most_events], again=again)
        if not self._abandon.is_set():
            left_out = Counter((id(entry.batch), entry.left_out) for entry in entries if entry.left_out)
            for batch in batches:
                dead = self._dead.pop(id(batch), 0)
                dropped = {reason: count for (of, reason), count in left_out.items() if of == id(batch)}
                sent = len(batch.events) - dead - sum(dropped.values())
                self._outbox.settle(batch, sent=sent, dead_lettered=dead, dropped=dropped)

    def _encoded(self, batch: Batch) -> list[Entry]:
        """Encode a batch; where that fails, line by line, and bury those that cannot be."""
        try:
            return self._sink.encode(batch)
        except Exception:  # a sink may be another package's code, and delivery must go on
            logger.exception("fault in a sink", extra={"sink": self._name})
        return [entry for index in range(len(batch.events)) if (entry := self._encoded_alone(batch, index))]

    def _encoded_alone(self, batch: Batch, index: int) -> Entry | None:
        try:
            (entry,) = self._sink.encode(replace(batch, events=[batch.events[index]]))
        except Exception as error:  # noqa: BLE001 - as above
            self._bury(Entry(batch, index, b""), f"it cannot be encoded: {error!r}")
            return None
        return Entry(batch, index, entry.data, entry.left_out)

    def _store(self, entries: Sequence[Entry], *, again: bool) -> None:
        """Send until every entry is stored or dead-lettered."""
        while entries and not self._abandon.is_set():
            self.health.attempts += 1
            try:
                answer = self._sink.send(entries, again=again)
            except SinkUnavailable as error:
                again = again or error.unseen
                self.health.retried += len(entries)
                self._pauses.failure(error)
                continue
            except RequestTooLarge as error:
                self._split(entries, str(error), again=again)
                return
            except Exception as error:  # a sink may be another package's code, and delivery must go on
                logger.exception("fault in a sink", extra={"sink": self._name})
                again = True
                self._pauses.failure(SinkUnavailable(f"fault in the sink: {error!r}"), "fault")
                continue
            entries = self._sorted_out(entries, answer)

    def _sorted_out(self, entries: Sequence[Entry], answer: Answer) -> list[Entry]:
        """Bury what was rejected and return what is to be sent again, after a pause."""
        for index, reason in answer.rejected.items():
            self._bury(entries[index], reason)
        if not answer.again:
            self._pauses.success()
            return []
        if len(answer.again) < len(entries):
            self._pauses.success()  # some of it was taken: the next pause is a short one
        self.health.retried += len(answer.again)
        busy = SinkUnavailable(f"{len(answer.again)} of {len(entries)} events refused for now")
        self._pauses.failure(busy, "busy")
        return [entries[index] for index in answer.again]

    def _split(self, entries: Sequence[Entry], reason: str, *, again: bool) -> None:
        if len(entries) == 1:
            self._bury(entries[0], reason)
            return
        half = len(entries) // 2
        self._store(entries[:half], again=again)
        self._store(entries[half:], again=again)

    def _bury(self, entry: Entry, reason: str) -> None:
        self._letters.put(self._name, entry.batch.container, entry.event, reason, self._abandon)
        self._dead[id(entry.batch)] += 1
