"""Tells open pages that something has changed, from any thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Pulse:
    """``beat`` when something has changed that pages show; each page has an event of its own for that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._felt: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def beat(self) -> None:
        """Wake every page that waits; thousands of beats at once cost what one does."""
        with self._lock:
            for loop, event in self._felt:
                if not event.is_set():
                    loop.call_soon_threadsafe(event.set)

    @contextmanager
    def felt(self) -> Iterator[asyncio.Event]:
        """Give an event of this loop that is set by each beat; who waits clears it."""
        mine = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._felt.add(mine)
        try:
            yield mine[1]
        finally:
            with self._lock:
                self._felt.discard(mine)
