"""Ship a share of the lines."""

from __future__ import annotations

from zlib import crc32

from compose_agent.config import Option
from compose_agent.config.kinds import Kind
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values

REASON = "sampled"
# Known where the transform ``level`` is on.
_ALWAYS = ("error", "fatal")
_RANGE = 2**32
# Neighbouring ids have neighbouring checksums; this spreads them (Knuth, multiplicative hashing).
_SPREAD = 2654435769


class Sample:
    """Keeps a share of events by a hash of their ids, so that one that is read again decides the same."""

    def __init__(self, share: float, counters: Counters) -> None:
        self._limit = round(share * _RANGE)
        self._dropped = counters.dropped

    def __call__(self, events: list[Event]) -> list[Event]:
        """Return the events of the share, and errors."""
        limit = self._limit
        kept = [
            event
            for event in events
            if crc32(event.id.encode()) * _SPREAD % _RANGE < limit
            or (event.fields and event.fields.get("level") in _ALWAYS)
        ]
        if len(kept) < len(events):
            self._dropped(len(events) - len(kept), REASON)
        return kept


def _share(text: str) -> float:
    number, slash, of = text.partition("/")
    share = int(number) / int(of) if slash else float(number)
    if not 0 <= share <= 1:
        raise ValueError(text)
    return share


def _parse(text: str) -> float:
    try:
        return _share(text)
    except ZeroDivisionError as error:
        raise ValueError(text) from error


def _make(values: Values, counters: Counters) -> Transform | None:
    share = values["sample"]
    return None if share is None or share == 1 else Sample(share, counters)


TRANSFORM = TransformKind(
    name="sample",
    help="Ship a share of the lines.",
    stage=Stage.SAMPLE,
    keys=(
        Option(
            "sample",
            Kind("share", "a share from 0 to 1 such as 0.25 or 1/10", _parse),
            None,
            "Ship this share of the lines; with `level` errors are always shipped.",
        ),
    ),
    make=_make,
)
