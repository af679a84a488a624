"""The inventory's book: containers by id, and what events say about them. No I/O, one lock."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.stream import Event

# Actions after which a container's inspect answers differently. Not here: kill and stop (die follows),
# restart (start came before), attach, exec_*, top, resize, export, copy, commit.
CHANGES = frozenset(
    {"create", "start", "die", "pause", "unpause", "rename", "update", "health_status", "oom"}
)
GONE = "destroy"
# cgroup v1 reports one kill of the main process as one or two events, within milliseconds; the time runs
# from the one that counted, so that a container that is killed in without a pause is still counted on.
_SAME_OOM_NS = 1_000_000_000
# Ids that are gone are remembered, so that an inspect that was under way does not bring one back.
_TOMBSTONES = 4096


class Ledger:
    """Containers by id. ``snapshot`` is sorted by name and stays the same object until something changes.

    ``begin_ns`` is where the event stream is to begin, in the Engine's time; None when that is to be said by
    ``begin``.
    """

    def __init__(self, begin_ns: int | None = None) -> None:
        self._begin_ns = begin_ns
        self._lock = threading.Lock()
        self._containers: dict[str, Container] = {}
        self._gone: dict[str, None] = {}
        self._oom_ns: dict[str, int] = {}
        self._oom_kills: dict[str, int] = {}
        self._snapshot: tuple[Container, ...] | None = ()
        self._last: Event | None = None
        self.missed_changes = 0

    def begin(self, now_ns: int) -> None:
        """Have the event stream begin now, in the Engine's time, unless its beginning is known already."""
        with self._lock:
            if self._begin_ns is None:
                self._begin_ns = now_ns

    @property
    def resume_ns(self) -> int | None:
        """The Engine's time of the last event applied, or where the stream is to begin; None for now."""
        return self._last.time_ns if self._last else self._begin_ns

    def snapshot(self) -> tuple[Container, ...]:
        """Return every container, sorted by name."""
        with self._lock:
            if self._snapshot is None:
                self._snapshot = tuple(sorted(self._containers.values(), key=lambda c: (c.name, c.id)))
            return self._snapshot

    def apply(self, event: Event) -> bool:
        """Take note of an event; return whether its container must be inspected.

        A resumed stream repeats the last event, because ``since`` is inclusive: every step here may be
        taken twice.
        """
        with self._lock:
            if self._last is None or event.time_ns > self._last.time_ns:
                self._last = event
            if event.action == GONE:
                self._remove(event.container_id)
                return False
            if event.action == "oom":
                self._count_oom(event)
            return event.action in CHANGES and event.container_id not in self._gone

    def _count_oom(self, event: Event) -> None:
        before = self._oom_ns.get(event.container_id)
        if before is None or event.time_ns - before >= _SAME_OOM_NS:
            self._oom_ns[event.container_id] = event.time_ns
            self._oom_kills[event.container_id] = self._oom_kills.get(event.container_id, 0) + 1

    def put(self, container: Container, *, expected: bool) -> None:
        """Store what an inspect told, unless the container is gone by now.

        A change that was not ``expected``, and a container that was not, count as missed: no event
        announced them.
        """
        with self._lock:
            if container.id in self._gone:
                return
            kills = self._oom_kills.setdefault(container.id, int(container.oom_killed))
            container = replace(container, oom_kills=kills)
            before = self._containers.get(container.id)
            if before == container:
                return
            if not expected:
                self.missed_changes += 1
            self._containers[container.id] = container
            self._snapshot = None

    def forget(self, container_id: str) -> None:
        """Remove a container that the Engine no longer knows."""
        with self._lock:
            self._remove(container_id)

    def ids(self) -> frozenset[str]:
        """Return the id of every container."""
        with self._lock:
            return frozenset(self._containers)

    def retain(
        self, listed: Iterable[str], among: Iterable[str] | None = None, *, expected: bool = True
    ) -> None:
        """Remove every container that the Engine did not list; unless ``expected`` they count as missed.

        ``among`` are the ids that were known before the list was asked for: a container that came while it
        was under way is not in it and is not gone. One that is listed may come back: an Engine that was
        started without its disk has none of its containers, and all of them when it is started again.
        """
        listed = set(listed)
        with self._lock:
            known = self._containers.keys() if among is None else self._containers.keys() & set(among)
            for container_id in known - listed:
                self._remove(container_id)
                self.missed_changes += not expected
            for container_id in listed & self._gone.keys():
                del self._gone[container_id]

    def _remove(self, container_id: str) -> None:
        self._gone[container_id] = None
        while len(self._gone) > _TOMBSTONES:
            del self._gone[next(iter(self._gone))]
        self._oom_ns.pop(container_id, None)
        self._oom_kills.pop(container_id, None)
        if self._containers.pop(container_id, None):
            self._snapshot = None
