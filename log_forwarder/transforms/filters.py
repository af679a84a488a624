"""Keep or leave out lines by what stands in them."""

from __future__ import annotations

from compose_agent.config import Option
from log_forwarder.event import Event
from log_forwarder.transforms.contract import Counters, Stage, Transform, TransformKind, Values
from log_forwarder.transforms.patterns import MOST_CHARACTERS, Pattern, regex

REASON = "excluded"


class Filter:
    """Keeps the lines that match ``include``, if there is one, and do not match ``exclude``."""

    def __init__(self, include: Pattern | None, exclude: Pattern | None, counters: Counters) -> None:
        self._include = include
        self._exclude = exclude
        self._dropped = counters.dropped

    def __call__(self, events: list[Event]) -> list[Event]:
        """Return the lines that are kept."""
        kept = events
        if self._include:
            search = self._include.search
            kept = [event for event in kept if search(event.log, 0, MOST_CHARACTERS)]
        if self._exclude:
            search = self._exclude.search
            kept = [event for event in kept if not search(event.log, 0, MOST_CHARACTERS)]
        if len(kept) < len(events):
            self._dropped(len(events) - len(kept), REASON)
        return kept


def _make(values: Values, counters: Counters) -> Transform | None:
    include, exclude = values["include-lines"], values["exclude-lines"]
    return Filter(include, exclude, counters) if include or exclude else None


TRANSFORM = TransformKind(
    name="filter",
    help="Keep or leave out lines.",
    stage=Stage.FILTER,
    keys=(
        Option("include-lines", regex, None, "Ship only lines in which this is found."),
        Option("exclude-lines", regex, None, "Do not ship lines in which this is found."),
    ),
    make=_make,
)
