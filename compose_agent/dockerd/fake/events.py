"""The Engine's event log: a ring of the last 256 events, and those who listen."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from compose_agent.dockerd.fake.clock import NANOSECONDS
from compose_agent.dockerd.fake.dialect import NO_LEGACY_EVENT_FIELDS_SINCE, Version

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from compose_agent.dockerd.fake.clock import Clock
    from compose_agent.dockerd.fake.model import Container

# As in the Engine: what a client that was away longer can no longer ask for.
RING_SIZE = 256


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to an object of the Engine."""

    kind: str
    action: str
    actor: str
    attributes: dict[str, str]
    time_ns: int

    def shape(self, version: Version) -> dict[str, Any]:
        """Return the event as a client of that API version reads it."""
        legacy: dict[str, Any] = {}
        if self.kind == "container" and version < NO_LEGACY_EVENT_FIELDS_SINCE:
            legacy = {"status": self.action, "id": self.actor, "from": self.attributes["image"]}
        return legacy | {
            "Type": self.kind,
            "Action": self.action,
            "Actor": {"ID": self.actor, "Attributes": self.attributes},
            "scope": "local",
            "time": self.time_ns // NANOSECONDS,
            "timeNano": self.time_ns,
        }


class EventLog:
    """Keep the ring and hand each event to every listener, in order; guarded by ``changed``.

    ``dropped`` is asked with kind and action before an event is taken; what it swallows is gone silently.
    """

    def __init__(
        self, clock: Clock, changed: threading.Condition, dropped: Callable[[str, str], bool]
    ) -> None:
        self._clock = clock
        self._changed = changed
        self._dropped = dropped
        self._ring: deque[Event] = deque(maxlen=RING_SIZE)
        self._last_ns = 0
        self.listeners: list[deque[Event]] = []

    def publish(self, kind: str, action: str, actor: str, attributes: dict[str, str]) -> None:
        """Record an event, later than all before it."""
        with self._changed:
            if self._dropped(kind, action):
                return
            self._last_ns = max(self._clock.time_ns(), self._last_ns + 1)
            event = Event(kind, action, actor, dict(sorted(attributes.items())), self._last_ns)
            self._ring.append(event)
            for listener in self.listeners:
                listener.append(event)
            self._changed.notify_all()

    def container(self, container: Container, action: str, **more: str) -> None:
        """Record an event of a container, with its labels, image and name."""
        own = {"image": container.image, "name": container.name}
        self.publish("container", action, container.id, container.labels | own | more)

    def since(self, since_ns: int | None, until_ns: int | None) -> list[Event]:
        """Return what the ring holds between two times, both included; nothing when neither is given."""
        if since_ns is None and until_ns is None:
            return []
        with self._changed:
            return [
                event
                for event in self._ring
                if event.time_ns >= (since_ns or 0) and (until_ns is None or event.time_ns <= until_ns)
            ]

    def listen(self, since_ns: int | None, until_ns: int | None) -> deque[Event]:
        """Return a queue that holds the past asked for and receives what comes, with no gap between."""
        with self._changed:
            queue = deque(self.since(since_ns, until_ns))
            self.listeners.append(queue)
            return queue

    def leave(self, queue: deque[Event]) -> None:
        """Stop handing events to a queue."""
        with self._changed:
            self.listeners = [one for one in self.listeners if one is not queue]

    def forget(self) -> None:
        """Lose the ring, as an Engine does that is restarted."""
        with self._changed:
            self._ring.clear()
