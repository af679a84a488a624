"""Noticing that the configuration file changed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from compose_agent.config.yamlfile import MAX_FILE_BYTES

logger = logging.getLogger(__name__)

# How often the file is read, which costs some microseconds. A change is taken when two readings agree:
# editors write in several steps.
LOOK_SECONDS = 0.5


class FileWatch:
    """Calls ``changed`` in a thread of its own when the content of ``path`` is another than at construction.

    The content itself is compared: that sees a file that is put in place by a rename or by a symbolic link
    swapped anywhere on the way to it, a folder that comes later, and mounts that send no notification.
    A file that went away is no change; one that can no longer be read is.
    """

    def __init__(self, path: Path, changed: Callable[[], None]) -> None:
        self._path = path
        self._changed = changed
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="config-watch", daemon=True)
        self._taken = self._read()

    def start(self) -> None:
        """Begin to look, until ``stop``."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()

    def _run(self) -> None:
        before = self._taken
        while not self._stop.wait(LOOK_SECONDS):
            now = self._read()
            if now is not None and now != self._taken and now == before:
                self._taken = now
                logger.info("configuration file changed", extra={"file": str(self._path)})
                self._changed()
            before = now

    def _read(self) -> bytes | str | None:
        """Return the content, why it cannot be read, or None when there is no file."""
        try:
            with self._path.open("rb") as file:
                return file.read(MAX_FILE_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return error.strerror


class FileWatches:
    """A :class:`FileWatch` for each of several files."""

    def __init__(self, paths: Iterable[Path], changed: Callable[[], None]) -> None:
        self._watches = [FileWatch(path, changed) for path in paths]

    def start(self) -> None:
        """Begin to look, until ``stop``."""
        for watch in self._watches:
            watch.start()

    def stop(self) -> None:
        """End the threads."""
        for watch in self._watches:
            watch.stop()
