"""Carrying parcels ahead of their confirmations, a window of them; all go again when the link breaks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

from log_forwarder.couriers.state import IDLE_SECONDS, Health, Pauses
from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Parcel, SinkUnavailable, WindowSink

logger = logging.getLogger(__name__)

# While confirmations are awaited, new batches are looked for so often.
_PEEK_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class _Load:
    """Batches that were packed together, and how many of their parcels are not confirmed yet."""

    batches: list[Batch]
    open: int


@dataclass(eq=False, slots=True)
class _Sent:
    parcel: Parcel
    load: _Load
    at: float


class WindowCourier:
    """Runs in a thread of its own until ``stop`` is set and all is confirmed, or ``abandon`` is set."""

    def __init__(self, name: str, sink: WindowSink, outbox: Outbox, abandon: threading.Event) -> None:
        self.health = Health()
        self._name = name
        self._sink = sink
        self._outbox = outbox
        self._abandon = abandon
        self._pauses = Pauses(name, self.health, abandon)
        self._connected = False
        self._taken: list[Batch] = []
        self._packed: deque[_Sent] = deque()  # not sent on this connection yet
        self._sent: dict[str, _Sent] = {}  # in the order they were sent

    def run(self, stop: threading.Event) -> None:
        """Deliver until there is nothing more to deliver."""
        while not self._abandon.is_set():
            try:
                self._pack()
                if self._packed or self._sent:
                    self._exchange()
                elif stop.is_set():
                    break
            except SinkUnavailable as error:
                self._disconnected(error)
            except Exception as error:  # a sink may be another package's code, and delivery must go on
                logger.exception("fault in a sink", extra={"sink": self._name})
                self._disconnected(SinkUnavailable(f"fault in the sink: {error!r}", unseen=True))
        self._sink.close()

    def _pack(self) -> None:
        """Fill the window from the outbox; waits only when there is nothing else to do."""
        while len(self._packed) + len(self._sent) < self._sink.window:
            idle = not self._packed and not self._sent
            wait = IDLE_SECONDS if idle else 0.0
            batches = self._taken or self._outbox.take(self._sink.most_bytes, wait)
            if not batches:
                return
            self._taken = batches  # until they are encoded, which a fault in the sink may prevent
            parcels = self._sink.encode(batches)
            self._taken = []
            load = _Load(batches, len(parcels))
            if not parcels:  # every event of these batches was left out on the way
                self._settle(load)
            self._packed.extend(_Sent(parcel, load, 0.0) for parcel in parcels)

    def _exchange(self) -> None:
        if not self._connected:
            self._sink.connect()
            self._connected = True
        while self._packed and len(self._sent) < self._sink.window:
            next_one = self._packed.popleft()
            next_one.at = time.monotonic()
            # Before it is sent: a confirmation may be there as soon as the last byte is.
            self._sent[next_one.parcel.id] = next_one
            self.health.attempts += 1
            self._sink.send(next_one.parcel)
        for parcel_id in self._sink.confirmed(_PEEK_SECONDS):
            self._confirmed(parcel_id)
        self._check_silence()

    def _confirmed(self, parcel_id: str) -> None:
        if (sent := self._sent.pop(parcel_id, None)) is None:
            return  # a confirmation of what was confirmed before, on a connection that was given up
        self._pauses.success()
        sent.load.open -= 1
        if not sent.load.open:
            self._settle(sent.load)

    def _settle(self, load: _Load) -> None:
        for batch in load.batches:
            self._outbox.settle(batch, sent=len(batch.events))

    def _check_silence(self) -> None:
        oldest = next(iter(self._sent.values()), None)
        if oldest and time.monotonic() - oldest.at > self._sink.answer_seconds:
            raise SinkUnavailable(f"no confirmation within {self._sink.answer_seconds:g} s", unseen=True)

    def _disconnected(self, error: SinkUnavailable) -> None:
        """Give the connection up; what was sent and not confirmed is sent first on the next one."""
        self._sink.close()
        self._connected = False
        self.health.retried += sum(
            len(batch.events)
            for load in {id(sent.load): sent.load for sent in self._sent.values()}.values()
            for batch in load.batches
        )
        self._packed.extendleft(reversed(self._sent.values()))
        self._sent.clear()
        self._pauses.failure(error)
