"""Answers without an end: how many there may be, and how they end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from broker.routes import NotServed
from compose_agent.web.longanswer import Client, HangUps

# A reader may pause (a pager, a busy consumer), and the Engine then waits with it; this one has forgotten.
STALL_SECONDS = 600.0


class Stream(Protocol):
    """What is to end when its reader does. See dockerd.passage.Passage."""

    def wait_for_ever(self) -> None: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Streams:
    """The streams that are open, ``most`` at once."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._open: set[Stream] = set()
        self._hang_ups = HangUps()
        self._lock = threading.Lock()

    def count(self) -> int:
        """Return how many there are."""
        return self._taken

    @contextmanager
    def room(self) -> Iterator[None]:
        """Hold a place for one; raises NotServed while there is none."""
        with self._lock:
            if self._taken >= self._most:
                sentence = "all streams that the broker gives are open: close some, or raise max-streams"
                raise NotServed("streams", sentence, 503)
            self._taken += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken -= 1

    @contextmanager
    def ends_with(self, client: Client, stream: Stream) -> Iterator[None]:
        """Within the block the stream may be silent and its client pause; it ends when the client goes."""
        stream.wait_for_ever()
        client.be_patient(STALL_SECONDS)
        with self._lock:
            self._open.add(stream)
        try:
            with self._hang_ups.call(client, stream.close):
                yield
        finally:
            with self._lock:
                self._open.discard(stream)

    def close(self) -> None:
        """End every stream, and let no other begin."""
        with self._lock:
            self._most = 0
            for stream in self._open:
                stream.close()
