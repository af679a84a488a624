"""Lines that are too long for one message, cut as Docker's own fluentd driver cuts them."""

from __future__ import annotations

from collections.abc import Iterator

from log_forwarder.event import Event

# Characters; even if each takes four bytes, a piece with its metadata fits into a message.
PIECE_CHARACTERS = 768 * 1024


def pieces(event: Event) -> Iterator[Event]:
    """Yield an event's line in pieces, each with the keys of Docker's driver (moby daemon/logger/fluentd).

    ``partial_message``, ``partial_id``, ``partial_ordinal`` (from 1) and ``partial_last`` are strings, as
    there. What was found in the line goes with the first piece. Ids: the event's own, and the ordinal.
    """
    starts = range(0, max(1, len(event.log)), PIECE_CHARACTERS)
    for ordinal, start in enumerate(starts, 1):
        partial = {
            "partial_message": "true",
            "partial_id": event.id,
            "partial_ordinal": str(ordinal),
            "partial_last": "true" if ordinal == len(starts) else "false",
        }
        yield Event(
            log=event.log[start : start + PIECE_CHARACTERS],
            stream=event.stream,
            time=event.time,
            attrs=event.attrs,
            id=f"{event.id}-{ordinal}" if event.id else "",
            fields={**(event.fields or {}), **partial} if ordinal == 1 else partial,
        )
