"""What this agent is acting on, so that events it causes are not taken for somebody else's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from compose_agent.dockerd.verbs.model import VerbRequest

# Events come milliseconds after what they tell of; a loaded Engine takes longer.
_LINGER_SECONDS = 5.0


class Ours:
    """Containers and Compose projects that are acted on, or were a moment ago; thread-safe."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._acting: dict[str, int] = {}
        self._until: dict[str, float] = {}

    @contextmanager
    def acting(self, request: VerbRequest, project: str = "") -> Iterator[None]:
        """Count a request's target as ours for as long as the block takes, and a little longer.

        ``project`` is that of a container in whose place another one is put, of which only the project is
        known beforehand.
        """
        keys = {_key(request), project} - {""}
        with self._lock:
            for key in keys:
                self._acting[key] = self._acting.get(key, 0) + 1
        try:
            yield
        finally:
            with self._lock:
                for key in keys:
                    self._let_go(key)

    def claim(self, request: VerbRequest) -> None:
        """Count a request's target as ours for a moment, until somebody acts on it."""
        with self._lock:
            self._until[_key(request)] = self._now() + _LINGER_SECONDS

    def _let_go(self, key: str) -> None:
        self._acting[key] -= 1
        if not self._acting[key]:
            del self._acting[key]
        now = self._now()
        self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[key] = now + _LINGER_SECONDS

    def has(self, key: str) -> bool:
        """Tell whether a container's id or a project is ours at the moment."""
        with self._lock:
            return key in self._acting or self._until.get(key, 0.0) > self._now()


def _key(request: VerbRequest) -> str:
    # A service's target is "project/service": whatever happens in the project meanwhile is ours.
    return request.target.partition("/")[0]
