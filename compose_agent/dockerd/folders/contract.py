"""Who hears of folders, what is counted, and what can be wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from compose_agent.dockerd.model import Container
from compose_agent.errors import ComposeAgentError


class FoldersUnreadable(ComposeAgentError):
    """Docker's folders are not there, or not for this user."""


class FolderListener(Protocol):
    """Hears of containers, from one thread; whatever takes time is done elsewhere."""

    def appeared(self, container: Container, folder: Path) -> None:
        """Take note of a container that was not there before; once, before anything else about it.

        When its configuration is not written or not readable yet, only the id is known.
        """

    def changed(self, container: Container) -> None:
        """Take note that it was started, ended, renamed, connected and the like."""

    def file_created(self, container_id: str, name: str) -> None:
        """Take note of a new file, or one that was moved to this name: a log that was begun or rotated.

        ``name`` is relative to the folder: ``ID-json.log``, ``local-logs/container.log``. Called once for
        each file that is there when the container appears, then once for each time.
        """

    def vanished(self, container_id: str) -> None:
        """Take note that its folder is gone."""


@dataclass(frozen=True, slots=True)
class FolderCounts:
    """What a watch counts of its own work since it started.

    ``notices`` are the kernel's events, ``overflows`` those times when some were dropped, ``reads`` whole
    configurations, ``unreadable`` those that were not, ``failures`` errors of a listener.
    """

    sweeps: int = 0
    notices: int = 0
    overflows: int = 0
    reads: int = 0
    unreadable: int = 0
    failures: int = 0


class Tally:
    """Counts as they grow: one thread counts, any may read ``counts``."""

    def __init__(self) -> None:
        self.counts = FolderCounts()

    def add(self, what: str, more: int = 1) -> None:
        """Count ``more`` of a field of FolderCounts."""
        self.counts = replace(self.counts, **{what: getattr(self.counts, what) + more})
