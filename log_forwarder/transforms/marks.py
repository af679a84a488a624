"""Places in a log out of the ids of its events."""

from __future__ import annotations

from log_forwarder.event import Mark
from log_forwarder.sources.pieces import BEGINNING


def mark_of(event_id: str) -> Mark:
    """Return where the event begins; its id is ``CONTAINER.GENERATION.OFFSET`` with a hexadecimal offset."""
    head, _, offset = event_id.rpartition(".")
    return Mark(head.partition(".")[2], int(offset.removesuffix(BEGINNING), 16))
