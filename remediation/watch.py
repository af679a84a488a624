"""What remediation remembers of the Engine's events: deployments, and who was stopped by hand."""

from __future__ import annotations

import threading
from collections.abc import Callable

from compose_agent.dockerd.model import PROJECT_LABEL, Container
from compose_agent.dockerd.stream import Event
from remediation.world import World

# What a deployment does to containers, and restarts, stops and health checks do not.
_DEPLOYS = ("create", "destroy", "rename")
# By the API, which is also what a Compose command comes by.
_BY_HAND = ("stop", "kill")
_MOST_REMEMBERED = 10_000


class Watch:
    """Listens to events and makes worlds of them; thread-safe.

    ``ours`` tells whether this agent acts on a container (by its id) or a Compose project at the moment.
    """

    def __init__(self, ours: Callable[[str], bool] = lambda _key: False) -> None:
        self._ours = ours
        self._lock = threading.Lock()
        self._deployments: dict[str, float] = {}
        self._signalled: dict[str, None] = {}  # by hand, and not over yet
        self._stopped: dict[str, None] = {}

    def hear(self, event: Event) -> None:
        """Take note of one event."""
        with self._lock:
            if event.action in _DEPLOYS:
                self._deployed(event)
            elif event.action in _BY_HAND:
                if not self._ours(event.container_id):
                    _remember(self._signalled, event.container_id)
            elif event.action == "die":
                if event.container_id in self._signalled:
                    _remember(self._stopped, event.container_id)
            elif event.action == "start":
                self._signalled.pop(event.container_id, None)
                self._stopped.pop(event.container_id, None)

    def world(self, containers: tuple[Container, ...], engine_error: str, unknown: int = 0) -> World:
        """Return the world with these containers; the rest says why there may be more."""
        with self._lock:
            return World(
                containers,
                engine_error,
                dict(self._deployments),
                frozenset(self._stopped),
                unknown,
            )

    def _deployed(self, event: Event) -> None:
        if event.action == "destroy":
            self._signalled.pop(event.container_id, None)
            self._stopped.pop(event.container_id, None)
        project = event.attributes.get(PROJECT_LABEL, "")
        if project and not (self._ours(event.container_id) or self._ours(project)):
            self._deployments[project] = event.time_ns / 1e9


def _remember(ids: dict[str, None], container_id: str) -> None:
    ids[container_id] = None
    while len(ids) > _MOST_REMEMBERED:
        del ids[next(iter(ids))]
