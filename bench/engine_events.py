"""An Engine's events about containers, followed from now on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import docker

from bench.restarts import Event

_CALL_SECONDS = 60


class EngineEvents:
    """Follows the Engine at ``host`` until ``close``; only these actions are taken note of.

    Whoever needs them cannot ask afterwards: an Engine remembers 256 events, and health checks make many.
    """

    def __init__(self, host: str, actions: Sequence[str]) -> None:
        self._client = docker.APIClient(base_url=host, version="1.41", timeout=_CALL_SECONDS)
        self._events: list[Event] = []
        self._stream = self._client.events(
            decode=True, filters={"type": ["container"], "event": list(actions)}
        )
        self._thread = threading.Thread(target=self._follow, name="events", daemon=True)
        self._thread.start()

    def all(self, of: Callable[[str], bool] = lambda _name: True) -> list[Event]:
        """Return what was said so far about containers by their names."""
        return [event for event in list(self._events) if of(event.container)]

    def close(self) -> None:
        """Follow no longer."""
        with suppress(Exception):  # a stream that is cut off ends as it likes
            self._stream.close()
        self._client.close()

    def _follow(self) -> None:
        with suppress(Exception):  # the end of the Engine, or of this
            for each in self._stream:
                name = each["Actor"]["Attributes"]["name"]
                self._events.append(Event(name, each["Action"], each["timeNano"] / 1e9))
