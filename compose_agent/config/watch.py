"""Noticing that the configuration file changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from watchfiles import watch

logger = logging.getLogger(__name__)

# Editors write in several steps; what settles within this time is one change.
_DEBOUNCE_MS = 200
# How soon the thread notices that it shall stop.
_STOP_CHECK_MS = 1000


class FileWatch:
    """Calls ``changed`` in a thread of its own when the content of ``path`` is another.

    The folder is watched, not the file: editors and volume mounts put another file in its place.
    """

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config-watch", daemon=True)
        self._content = self._read()

    def start(self) -> None:
        """Begin to watch; a folder that is not there is not watched, and the log says so."""
        if self._path.parent.is_dir():
            self._thread.start()
        else:
            logger.info(
                "configuration is not watched: no such folder", extra={"folder": str(self._path.parent)}
            )

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _run(self) -> None:
        changes = watch(
            self._path.parent,
            debounce=_DEBOUNCE_MS,
            rust_timeout=_STOP_CHECK_MS,
            stop_event=self._stop,
            recursive=False,
            raise_interrupt=False,
        )
        for _ in changes:
            content = self._read()
            if content is not None and content != self._content:
                self._content = content
                self._changed()

    def _read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except OSError:
            return None  # between two versions, or removed: the running configuration stays
