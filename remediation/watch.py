"""What remediation remembers of the Engine's events: deployments, and who was stopped by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from compose_agent.dockerd.model import PROJECT_LABEL, Container
from compose_agent.dockerd.stream import Event
from remediation.triggers.watch import ENDING_SIGNALS, OTHER_SIGNAL_NS
from remediation.world import World

T = TypeVar("T")

# What a deployment does to containers, and restarts, stops and health checks do not.
_DEPLOYS = ("create", "destroy", "rename")
_MOST_REMEMBERED = 10_000


class Watch:
    """Listens to events and makes worlds of them; thread-safe.

    ``ours`` tells whether this agent acts on a container (by its id) or a Compose project at the moment.
    """

    def __init__(self, ours: Callable[[str], bool] = lambda _key: False) -> None:
        self._ours = ours
        self._lock = threading.Lock()
        self._deployments: dict[str, float] = {}
        # By hand, and not over yet: until which time of the Engine's a death comes of it, None for ever.
        self._signalled: dict[str, int | None] = {}
        self._stopped: dict[str, None] = {}

    def hear(self, event: Event) -> None:
        """Take note of one event."""
        with self._lock:
            if event.action in _DEPLOYS:
                self._deployed(event)
            elif event.action in ("kill", "stop"):
                # Both also come of what Compose commands do.
                if not self._ours(event.container_id):
                    self._by_hand(event)
            elif event.action == "die":
                until = self._signalled.get(event.container_id, 0)
                if until is None or event.time_ns <= until:
                    _remember(self._stopped, event.container_id, None)
            elif event.action == "start":
                self._signalled.pop(event.container_id, None)
                self._stopped.pop(event.container_id, None)

    def _by_hand(self, event: Event) -> None:
        """Take note of a signal; one that has a process reload or rotate is no stop, unless it dies of it."""
        ends = event.action == "stop" or event.attributes.get("signal", "") in ENDING_SIGNALS
        if ends or self._signalled.get(event.container_id, 0) is not None:
            _remember(self._signalled, event.container_id, None if ends else event.time_ns + OTHER_SIGNAL_NS)

    def world(
        self,
        containers: tuple[Container, ...],
        engine_error: str,
        unknown: int = 0,
        behind: frozenset[str] = frozenset(),
    ) -> World:
        """Return the world with these containers; the rest says why there may be more."""
        with self._lock:
            return World(
                containers,
                engine_error,
                dict(self._deployments),
                frozenset(self._stopped),
                unknown,
                behind,
            )

    def _deployed(self, event: Event) -> None:
        if event.action == "destroy":
            self._signalled.pop(event.container_id, None)
            self._stopped.pop(event.container_id, None)
        project = event.attributes.get(PROJECT_LABEL, "")
        if project and not (self._ours(event.container_id) or self._ours(project)):
            _remember(self._deployments, project, event.time_ns / 1e9)


def _remember(known: dict[str, T], key: str, value: T) -> None:
    """Put in what is newest, and take out the oldest of too many."""
    known.pop(key, None)
    known[key] = value
    while len(known) > _MOST_REMEMBERED:
        del known[next(iter(known))]
