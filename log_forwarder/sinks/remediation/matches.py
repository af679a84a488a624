"""Which lines are triggers: patterns of each container, and how often each may be one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event
from log_forwarder.moments import unix_seconds
from log_forwarder.sinks.contract import Entry
from log_forwarder.sinks.remediation.cloudevent import cloud_event
from log_forwarder.transforms.hints import LABEL_PREFIX, TRIGGER, trigger_of
from log_forwarder.transforms.patterns import MOST_CHARACTERS, Pattern

# Why an event is none.
NO_MATCH = "no_match"
RATE_LIMITED = "rate_limited"
# A storm of one error must not become a storm of triggers, and no action is over within a second. By the
# times of the lines, so that a backlog tells the same as it would have told then.
PAUSE_SECONDS = 1.0
# Containers whose patterns are kept ready; beyond that all are prepared anew.
_MOST_CONTAINERS = 2048


@dataclass(slots=True)
class _Watched:
    """A container with its patterns, and when each of them last made a trigger, in Unix seconds."""

    container: Container
    patterns: Mapping[str, Pattern]
    last: dict[str, float] = field(default_factory=dict)

    def found(self, event: Event) -> list[str]:
        """Return the names of the patterns that a line matches."""
        log = event.log
        return [name for name, each in self.patterns.items() if each.search(log, 0, MOST_CHARACTERS)]

    def is_due(self, name: str, event: Event) -> bool:
        """Tell whether a match makes a trigger, and note it. A clock that was set back makes one."""
        time = unix_seconds(event.time)
        if abs(time - self.last.get(name, -math.inf)) < PAUSE_SECONDS:
            return False
        self.last[name] = time
        return True


class Matcher:
    """Makes triggers of lines; ``triggers`` are the patterns for all containers."""

    def __init__(self, host: str, triggers: Mapping[str, Pattern]) -> None:
        self._host = host
        self._triggers = triggers
        self._watched: dict[str, _Watched] = {}

    def entries(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event; its data is a line of JSON for each trigger."""
        watched = self._watch(batch.container)
        return [self._entry(batch, index, watched) for index in range(len(batch.events))]

    def _entry(self, batch: Batch, index: int, watched: _Watched) -> Entry:
        event = batch.events[index]
        if not (found := watched.found(event)):
            return Entry(batch, index, b"", NO_MATCH)
        triggers = [
            cloud_event(self._host, batch.container, event, name)
            for name in found
            if watched.is_due(name, event)
        ]
        return Entry(batch, index, b"\n".join(triggers), "" if triggers else RATE_LIMITED)

    def _watch(self, container: Container) -> _Watched:
        known = self._watched.get(container.id)
        if known is None or known.container is not container:
            if len(self._watched) >= _MOST_CONTAINERS:
                self._watched.clear()
            fresh = _Watched(container, patterns_of(container, self._triggers))
            if known is not None:
                fresh.last = known.last
            known = self._watched[container.id] = fresh
        return known


def patterns_of(container: Container, configured: Mapping[str, Pattern]) -> Mapping[str, Pattern]:
    """Return a container's patterns by name: those configured, with what its labels say above them.

    Who follows the container reports labels that cannot be used; here they say nothing.
    """
    found: dict[str, Pattern | None] = dict(configured)
    for label, text in container.labels.items():
        if label.startswith(LABEL_PREFIX + TRIGGER):
            try:
                name, pattern = trigger_of(label.removeprefix(LABEL_PREFIX), text)
            except ValueError:
                continue
            found[name] = pattern
    return {name: pattern for name, pattern in found.items() if pattern}
