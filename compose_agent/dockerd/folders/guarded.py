"""A listener whose failures end nothing and are not taken for those of Docker's folders."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from compose_agent.dockerd.folders.contract import FolderListener, Tally
from compose_agent.dockerd.model import Container

logger = logging.getLogger(__name__)


class Guarded:
    """Passes everything on to ``listener``; what that raises is logged and counted in ``tally``."""

    def __init__(self, listener: FolderListener, tally: Tally) -> None:
        self._listener = listener
        self._tally = tally

    def appeared(self, container: Container, folder: Path) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.appeared(container, folder), container.id)

    def changed(self, container: Container) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.changed(container), container.id)

    def file_created(self, container_id: str, name: str) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.file_created(container_id, name), container_id)

    def vanished(self, container_id: str) -> None:
        """Pass on."""
        self._guard(lambda: self._listener.vanished(container_id), container_id)

    def _guard(self, call: Callable[[], None], container_id: str) -> None:
        try:
            call()
        except Exception:  # not ours: an OSError of a listener must not pass for a folder that is gone
            logger.exception("what was seen of a container could not be handled", extra={"id": container_id})
            self._tally.add("failures")
