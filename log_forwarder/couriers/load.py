"""What is packed together and confirmed in parts: batches of a window sink, and how far each of them is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from log_forwarder.event import Batch


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


class Load:
    """Pieces that were encoded together; ``open`` counts their parcels that are not confirmed yet."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.open = 0

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
