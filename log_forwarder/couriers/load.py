"""What is packed together and confirmed in parts: batches of a window sink, and how far each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from log_forwarder.couriers.trial import Trial
from log_forwarder.event import Batch, Event


@dataclass(eq=False, slots=True)
class Shipment:
    """A batch from the outbox: how many loads have events of it, and how many of its events are dead."""

    batch: Batch
    open: int = 1
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Piece:
    """Events of a shipment, as a batch that the sink can encode; mostly the whole of it."""

    shipment: Shipment
    batch: Batch

    def part(self, events: list[Event]) -> Piece:
        """Return a piece with some of the events."""
        return Piece(self.shipment, replace(self.batch, events=events))


class Load:
    """Pieces that were encoded together; ``open`` counts their parcels that are not confirmed yet.

    ``moved`` says that some were confirmed since it was last sent, ``divided`` that it is a part of another
    load, and ``witness`` to the trial of which other load it is sent, if it holds a line that is not its own.
    """

    def __init__(
        self, pieces: Sequence[Piece], *, divided: bool = False, witness: Trial | None = None
    ) -> None:
        self.pieces = pieces
        self.open = 0
        self.moved = False
        self.divided = divided
        self.witness = witness
        self.trial = Trial(single=self.size == 1, divided=divided)

    @classmethod
    def of(cls, batches: Sequence[Batch]) -> Load:
        """Return the load of whole batches."""
        return cls([Piece(Shipment(batch), batch) for batch in batches])

    @property
    def batches(self) -> list[Batch]:
        """What is encoded."""
        return [piece.batch for piece in self.pieces]

    @property
    def size(self) -> int:
        """The number of events."""
        return sum(len(piece.batch.events) for piece in self.pieces)

    @property
    def last(self) -> Batch | None:
        """Its last event, as a batch."""
        batch = next((piece.batch for piece in reversed(self.pieces) if piece.batch.events), None)
        return replace(batch, events=batch.events[-1:]) if batch else None

    def halves(self) -> tuple[Load, Load]:
        """Return two smaller loads that have all events in their order."""
        first: list[Piece] = []
        second: list[Piece] = []
        room = self.size // 2
        for piece in self.pieces:
            events = piece.batch.events
            if len(events) <= room:
                first.append(piece)
            elif not room:
                second.append(piece)
            else:
                first.append(piece.part(events[:room]))
                second.append(piece.part(events[room:]))
                piece.shipment.open += 1
            room = max(0, room - len(events))
        return Load(first, divided=True), Load(second, divided=True)

    def shipment_of(self, batch: Batch) -> Shipment:
        """Return what a batch that was encoded is a piece of; raises ValueError for another one."""
        for piece in self.pieces:
            if piece.batch is batch:
                return piece.shipment
        raise ValueError("this batch is not in the load")

    def close(self, settle: Callable[[Shipment], None]) -> None:
        """Hand each shipment to ``settle`` of which this was the last load."""
        for piece in self.pieces:
            piece.shipment.open -= 1
            if not piece.shipment.open:
                settle(piece.shipment)


def lines_beside(accused: Load, loads: Iterable[Load]) -> list[Batch]:
    """Return a line of each piece that is not of the accused load, those of other containers first."""
    ours = {piece.batch.container.id for piece in accused.pieces}
    others = {id(load): load for load in loads if load is not accused}
    batches = [piece.batch for load in others.values() for piece in load.pieces if piece.batch.events]
    batches.sort(key=lambda batch: batch.container.id in ours)
    return [replace(batch, events=batch.events[:1]) for batch in batches]
