"""One container's transforms, one after the other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from log_forwarder.event import Event, Mark
from log_forwarder.transforms.contract import Counters, Holding, Transform

logger = logging.getLogger(__name__)

# Why events are dropped that a transform was to protect and could not.
UNPROTECTED = "transform_fault"


@dataclass(frozen=True, slots=True)
class Step:
    """A transform, what it is called, and whether nothing may be shipped that it could not look at."""

    name: str
    transform: Transform
    protects: bool = False


class Pipeline:
    """Transforms in their order. With ``empty`` events go through as they are, and need not come here."""

    def __init__(self, steps: Sequence[Step], counters: Counters) -> None:
        self.empty = not steps
        self._steps = tuple(steps)
        self._holding = tuple(
            (each.transform, self._steps[at + 1 :])
            for at, each in enumerate(self._steps)
            if isinstance(each.transform, Holding)
        )
        self._counters = counters
        self._faulty: set[str] = set()

    def apply(self, events: list[Event]) -> list[Event]:
        """Return what becomes of events, which are changed in place; some may be held back."""
        return self._through(self._steps, events)

    def held(self) -> tuple[tuple[str, Mark], ...]:
        """Return, for each stream with lines held back, where the first of them begins."""
        if not self._holding:
            return ()
        # What a later transform holds came earlier.
        return tuple({stream: mark for each, _ in self._holding for stream, mark in each.held()}.items())

    def due(self, now: float, *, everything: bool = False) -> list[Event]:
        """Return what was held long enough at ``now`` (monotonic seconds), or all.

        To be asked when there is nothing more to read at the moment: what is not read yet may belong to it.
        """
        found: list[Event] = []
        for each, rest in self._holding:
            if events := each.due(now, everything=everything):
                found += self._through(rest, events)
        return found

    def _through(self, steps: Sequence[Step], events: list[Event]) -> list[Event]:
        for step in steps:
            if not events:
                break
            events = self._run(step, events)
        return events

    def _run(self, step: Step, events: list[Event]) -> list[Event]:
        try:
            return step.transform(events)
        except Exception as error:  # noqa: BLE001 - another package's code too: a fault must not end the log
            self._report(step, error)
        if step.protects:
            self._counters.dropped(len(events), UNPROTECTED)
            return []
        self._counters.failed(len(events), step.name)
        return events

    def _report(self, step: Step, error: Exception) -> None:
        """Log a fault once, because it may come with every line."""
        if step.name not in self._faulty:
            self._faulty.add(step.name)
            logger.error("fault in a transform", exc_info=error, extra={"transform": step.name})
