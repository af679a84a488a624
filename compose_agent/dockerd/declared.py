"""Labels that are declared in Compose files, by the field ``x-compose-agent`` of a service.

They count as if they stood on the service's containers; a label that does stand there wins. The files are
those of ``--compose-file``, and those that Compose names on each container that it makes, seen through the
host's root.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from compose_agent.config.composefile import ComposeFile, load_compose_file
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.model import PROJECT_LABEL, SERVICE_LABEL, Container
from compose_agent.errors import ConfigError

logger = logging.getLogger(__name__)

FILES_LABEL = "com.docker.compose.project.config_files"
# The name that ``docker compose`` gives a project, whatever its file says; Compose hands it to whoever asks.
PROJECT_VARIABLE = "COMPOSE_PROJECT_NAME"
# Whoever makes a container writes its labels: this many files are looked at for one container.
MOST_FILES = 16
# So many are known at a time; a host on which projects come and go has ever new ones.
MOST_KNOWN = 1000
LOOK_SECONDS = 1.0
_STOP_SECONDS = 2.0

# What a file was when it was read: its inode, size and time of change in nanoseconds; None without a file.
_Stamp = tuple[int, int, int] | None


class Declared(Protocol):
    """Adds what is declared to what stands on a container."""

    def merged(self, labels: Mapping[str, str]) -> Mapping[str, str]: ...  # noqa: D102


class NothingDeclared:
    """Labels are what stands on the container."""

    def merged(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels themselves."""
        return labels


NOTHING = NothingDeclared()


@dataclass(frozen=True, slots=True)
class _Known:
    stamp: _Stamp
    file: ComposeFile | None


class DeclaredLabels:
    """What the files declare; safe for many threads. ``revision`` counts how often one was read anew.

    ``files`` belong to the project that ``environ`` names, else to the one that they name themselves.
    ``rootfs`` is where the paths on containers are looked for.
    """

    def __init__(self, files: Sequence[Path], rootfs: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._files = files
        self._rootfs = rootfs
        self._project = environ.get(PROJECT_VARIABLE, "")
        self._known: dict[Path, _Known] = {}
        self.revision = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> int:
        """Read what has changed, and return the revision."""
        with self._lock:
            known = list(self._known)
        for path in known:
            self._read(path)
        return self.revision

    def merged(self, labels: Mapping[str, str]) -> Mapping[str, str]:
        """Return the labels of a container, and below them those that its service's files declare."""
        service = labels.get(SERVICE_LABEL)
        if not service:
            return labels
        declared: dict[str, str] = {}
        for file in self._files_of(labels):
            declared.update(file.labels_of(service))
        return {**declared, **labels} if declared else labels

    def watch(self, changed: Callable[[], None]) -> None:
        """Call ``changed``, in a thread, whenever a file that was read is another, until ``stop``."""
        self._thread = threading.Thread(target=self._look, args=[changed], name="compose-files", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_STOP_SECONDS)

    def _look(self, changed: Callable[[], None]) -> None:
        told = self.look()
        while not self._stop.wait(LOOK_SECONDS):
            if (now := self.look()) != told:
                told = now
                changed()

    def _files_of(self, labels: Mapping[str, str]) -> Iterator[ComposeFile]:
        project = labels.get(PROJECT_LABEL, "")
        for path in self._files:
            file = self._read(path)
            if file and project == (self._project or file.project):
                yield file
        for path in self._named(labels.get(FILES_LABEL, "")):
            if file := self._read(path):
                yield file

    def _named(self, text: str) -> Iterable[Path]:
        """Return the files that Compose wrote on a container, as this process sees them."""
        absolute = [each for each in text.split(",") if each.startswith("/")]
        return [self._rootfs / each.lstrip("/") for each in absolute[:MOST_FILES] if ".." not in each]

    def _read(self, path: Path) -> ComposeFile | None:
        """Return the file as it is now; one that cannot be read any more counts as it was."""
        stamp = _stamp(path)
        with self._lock:
            known = self._known.get(path)
            if known is None or known.stamp != stamp:
                before = known.file if known else None
                if known is None and len(self._known) >= MOST_KNOWN:
                    self._forget_one()
                self.revision += known is not None
                known = self._known[path] = _Known(stamp, _loaded(path, before) if stamp else None)
            return known.file

    def _forget_one(self) -> None:
        """Forget the file that a container has named longest ago; it is read anew if one still does."""
        oldest = next((each for each in self._known if each not in self._files), None)
        if oldest is not None:
            del self._known[oldest]


def _loaded(path: Path, before: ComposeFile | None) -> ComposeFile | None:
    try:
        return load_compose_file(path)
    except ConfigError as error:
        logger.warning("a Compose file is not taken", extra={"error": str(error)})
        return before


def _stamp(path: Path) -> _Stamp:
    """Return what tells one state of a file from another; None for what is no regular file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns) if path.is_file() else None


def declared_by(general: GeneralSettings) -> DeclaredLabels:
    """Return what is declared in the files that the settings name."""
    return DeclaredLabels(general.compose_files, general.compose_rootfs)


def labelled(container: Container, declared: Declared) -> Container:
    """Return the container with what is declared for it."""
    merged = declared.merged(container.labels)
    return container if merged is container.labels else replace(container, labels=merged)
