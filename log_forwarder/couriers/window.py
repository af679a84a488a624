"""Carrying parcels ahead of their confirmations, a window of them; all go again when the link breaks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

from log_forwarder.couriers.load import Load, Shipment
from log_forwarder.couriers.state import IDLE_SECONDS, Health, Pauses
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Confirmation, Parcel, Refusal, SinkUnavailable, WindowSink

logger = logging.getLogger(__name__)

# While confirmations are awaited, new batches are looked for so often.
_PEEK_SECONDS = 0.05


@dataclass(eq=False, slots=True)
class _Sent:
    parcel: Parcel
    load: Load
    at: float


class WindowCourier:
    """Runs in a thread of its own until ``stop`` is set and all is confirmed, or ``abandon`` is set."""

    def __init__(
        self, name: str, sink: WindowSink, outbox: Outbox, letters: DeadLetters, abandon: threading.Event
    ) -> None:
        self.health = Health()
        self._name = name
        self._sink = sink
        self._outbox = outbox
        self._letters = letters
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
            load = Load.of(batches)
            load.open = len(parcels)
            if not parcels:  # every event of these batches was left out on the way
                load.close(self._settle)
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
        confirmations = self._sink.confirmed(_PEEK_SECONDS)
        for confirmation in confirmations:
            self._confirmed(confirmation)
        if not confirmations:  # else more of them may have come while letters were written
            self._check_silence()

    def _confirmed(self, confirmation: Confirmation) -> None:
        if (sent := self._sent.get(confirmation.id)) is None:
            return  # a confirmation of what was confirmed before, on a connection that was given up
        dead = [(sent.load.shipment_of(refusal.batch), refusal) for refusal in confirmation.refused]
        del self._sent[confirmation.id]
        self._pauses.success()
        if not all(self._buried(shipment, refusal) for shipment, refusal in dead):
            return
        sent.load.open -= 1
        if not sent.load.open:
            sent.load.close(self._settle)

    def _buried(self, shipment: Shipment, refusal: Refusal) -> bool:
        """Write a refused event down; False if that was given up, so that the batch must not be settled."""
        shipment.dead += 1
        event = refusal.batch.events[refusal.index]
        return self._letters.put(self._name, shipment.batch.container, event, refusal.reason, self._abandon)

    def _settle(self, shipment: Shipment) -> None:
        sent = len(shipment.batch.events) - shipment.dead
        self._outbox.settle(shipment.batch, sent=sent, dead_lettered=shipment.dead)

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
