"""Carrying parcels ahead of their confirmations, a window of them; all go again when the link breaks."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from log_forwarder.couriers.load import Load, Shipment, lines_beside
from log_forwarder.couriers.state import IDLE_SECONDS, Health, Pauses
from log_forwarder.couriers.trial import PROOFS, Step
from log_forwarder.deadletters import DeadLetters
from log_forwarder.event import Batch, Event
from log_forwarder.outbox import Outbox
from log_forwarder.sinks.contract import Confirmation, LinkEnded, Parcel, SinkUnavailable, WindowSink

logger = logging.getLogger(__name__)

# While confirmations are awaited, new batches are looked for so often.
_PEEK_SECONDS = 0.05
# What a sink mends by itself (a broker of several that restarts) is mostly over sooner, and then no news.
_TROUBLE_SECONDS = 2.0


@dataclass(eq=False, slots=True)
class _Sent:
    parcel: Parcel
    load: Load
    at: float = 0.0


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
        self._packed: deque[_Sent] = deque()  # not sent on this connection yet
        self._sent: dict[str, _Sent] = {}  # in the order they were sent
        self._known: Batch | None = None  # the last line that was confirmed
        self._missed = 0  # how many lines that waited were not taken either, when they were to bear witness

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
        while len(self._packed) + len(self._sent) < self._room():
            idle = not self._packed and not self._sent
            batches = self._outbox.take(self._sink.most_bytes, IDLE_SECONDS if idle else 0.0)
            if not batches:
                return
            self._packed.extend(self._encoded(Load.of(batches)))

    def _room(self) -> int:
        """Return how many parcels may be packed: with a line that is accused one more, to bear witness."""
        accused = self._packed and self._packed[0].load.trial.step is Step.COMPARE
        return max(self._sink.window, 2) if accused else self._sink.window

    def _encoded(self, load: Load) -> Iterator[_Sent]:
        """Encode a load; where that fails, half by half, and bury those lines that cannot be."""
        try:
            parcels = self._sink.encode(load.batches)
        except Exception as error:  # a sink may be another package's code, and delivery must go on
            if not load.divided:
                logger.exception("fault in a sink", extra={"sink": self._name})
            if load.size > 1:
                for half in load.halves():
                    yield from self._encoded(half)
            else:
                self._give_up(load, f"it cannot be encoded: {error!r}")
            return
        load.open = len(parcels)
        if not parcels:  # every event of these batches was left out on the way
            load.close(self._settle)
        yield from (_Sent(parcel, load) for parcel in parcels)

    def _exchange(self) -> None:
        if not self._connected:
            self._sink.connect()
            self._connected = True
        self._call_witness()
        while self._packed and self._may_go(self._packed[0].load):
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

    def _may_go(self, load: Load) -> bool:
        """Tell whether a load may join what is on its way: there is room, and no suspect among them."""
        if len(self._sent) >= self._sink.window:
            return False
        oldest = next(iter(self._sent.values()), None)
        if oldest is None or oldest.load is load:
            return True
        return oldest.load.trial.step is load.trial.step is Step.TOGETHER

    def _confirmed(self, confirmation: Confirmation) -> None:
        if (sent := self._sent.get(confirmation.id)) is None:
            return  # a confirmation of what was confirmed before, on a connection that was given up
        load = sent.load
        dead = [
            (load.shipment_of(each.batch), each.batch.events[each.index], each.reason)
            for each in confirmation.refused
        ]
        del self._sent[confirmation.id]
        self._pauses.success()
        if not all(self._buried(*each) for each in dead):
            return
        load.moved = True
        load.open -= 1
        if not load.open:
            self._done(load, whole=not dead)

    def _done(self, load: Load, *, whole: bool) -> None:
        """Settle what is confirmed; ``whole`` if none of it was refused."""
        load.close(self._settle)
        if load.witness:
            load.witness.compared(taken=True)
        elif whole:
            self._known = load.last

    def _buried(self, shipment: Shipment, event: Event, reason: str) -> bool:
        """Write an event down; False if that was given up, so that its batch must not be settled."""
        shipment.dead += 1
        return self._letters.put(self._name, shipment.batch.container, event, reason, self._abandon)

    def _settle(self, shipment: Shipment) -> None:
        sent = len(shipment.batch.events) - shipment.dead
        self._outbox.settle(shipment.batch, sent=sent, dead_lettered=shipment.dead)

    def _check_silence(self) -> None:
        oldest = next(iter(self._sent.values()), None)
        if oldest is None:
            return
        now = time.monotonic()
        if now - oldest.at > self._sink.answer_seconds:
            raise SinkUnavailable(f"no confirmation within {self._sink.answer_seconds:g} s", unseen=True)
        if now - max(oldest.at, self.health.last_success) > _TROUBLE_SECONDS and self._sink.trouble:
            self._pauses.trouble(self._sink.trouble)

    def _disconnected(self, error: SinkUnavailable) -> None:
        """Give the connection up; what was sent and not confirmed is sent first on the next one."""
        self._sink.close()
        self._connected = False
        self.health.retried += sum({id(sent.load): sent.load.size for sent in self._sent.values()}.values())
        self._packed.extendleft(reversed(self._sent.values()))
        if self._sent:
            self._sent.clear()
            self._judge(self._packed[0].load, error)
        self._pauses.failure(error)

    def _judge(self, oldest: Load, error: SinkUnavailable) -> None:
        """Find out what it means for the oldest load on its way that it was not confirmed."""
        if oldest.witness:
            self._take_out(oldest)
            oldest.witness.compared(taken=False)
            self._missed += 1
        elif not isinstance(error, LinkEnded):
            oldest.trial.failed()
        elif not oldest.moved:
            oldest.trial.ended()
        oldest.moved = False
        if oldest.trial.step is Step.DIVIDE:
            self._divide(oldest, error)
        elif oldest.trial.step is Step.BURY:
            self._take_out(oldest)
            self._give_up(
                oldest,
                f"at this line the peer ended {PROOFS} connections on which it took another: {error.message}",
            )

    def _divide(self, load: Load, error: SinkUnavailable) -> None:
        """Put halves in the place of a load."""
        if not load.divided:
            what = {"sink": self._name, "events": load.size, "error": str(error)}
            logger.warning(
                "the same lines end every connection; looking for the one that does it", extra=what
            )
        self._take_out(load)
        parts = [sent for half in load.halves() for sent in self._encoded(half)]
        self._packed.extendleft(reversed(parts))
        self._pauses.shorten()

    def _give_up(self, load: Load, reason: str) -> None:
        """Write the one line of a load down, as one that the sink will never take."""
        for piece in load.pieces:
            if not all(self._buried(piece.shipment, event, reason) for event in piece.batch.events):
                return
        load.close(self._settle)

    def _take_out(self, load: Load) -> None:
        self._packed = deque(sent for sent in self._packed if sent.load is not load)

    def _call_witness(self) -> None:
        """Before a line that is accused, send another one, to see whether the peer takes that."""
        if self._sent or not self._packed:
            return
        accused = self._packed[0].load
        if accused.trial.step is Step.COMPARE and (other := self._other_line(accused)):
            load = Load((), witness=accused.trial)
            parcels = self._sink.encode([other])
            load.open = len(parcels)
            self._packed.extendleft(_Sent(parcel, load) for parcel in reversed(parcels))

    def _other_line(self, accused: Load) -> Batch | None:
        """Return a line that was confirmed before; while there is none, one of those that wait.

        It comes twice then, with the same id: better than a line in the wrong place, or none at all.
        """
        if self._known:
            return self._known
        lines = lines_beside(accused, [sent.load for sent in self._packed])
        return lines[self._missed % len(lines)] if lines else None
