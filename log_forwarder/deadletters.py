"""What a sink will never take, kept for people and for ``compose-agent logs replay``."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.overview.words import plain_size
from log_forwarder.event import Event
from log_forwarder.traces import refused

logger = logging.getLogger(__name__)

FILE_NAME = "dead-letters.ndjson"
# After a failed write (full disk, limit reached); the event is held and delivery waits: nothing is lost.
_RETRY_SECONDS = 5.0
# All refusals are in the file and in the metrics; the log needs an example now and then.
_LOG_PAUSE_SECONDS = 10.0


class DeadLetters:
    """An NDJSON file that only grows: one object a line, on disk before the event counts as settled.

    ``{"at", "sink", "reason", "event": {…}, "container": {"id", "name", "image", "labels"}}``

    At ``limit`` bytes (None: without) delivery waits, because what is refused may neither fill the disk nor
    be lost; the limit may be changed at any time. ``error`` says what delivery waits for.
    """

    def __init__(self, state_dir: Path, limit: int | None = None) -> None:
        self.path = state_dir / FILE_NAME
        self.limit = limit
        self.error = ""
        self._lock = threading.Lock()
        self._silent_until = 0.0

    def put(
        self, sink: str, container: Container, event: Event, reason: str, abandon: threading.Event
    ) -> bool:
        """Write one event down, or wait while that is impossible; False if ``abandon`` was set meanwhile."""
        line = msgspec.json.encode(_letter(sink, container, event, reason)) + b"\n"
        self._tell(sink, container, event, reason)
        while not self._written(line):
            if abandon.wait(_RETRY_SECONDS):
                self.error = ""  # nobody waits any more; whoever does says so again
                return False
        return True

    def _tell(self, sink: str, container: Container, event: Event, reason: str) -> None:
        """Log and trace the first of many: a sink may refuse every line there is."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _LOG_PAUSE_SECONDS
            refused(sink, container, event, reason)
            logger.warning("line refused", extra={"sink": sink, "event": event.id, "reason": reason})

    def _written(self, line: bytes) -> bool:
        problem = self._problem(line)
        if problem and problem != self.error:
            logger.error(problem)
        self.error = problem
        return not problem

    def _problem(self, line: bytes) -> str:
        """Write a line, or say why that is impossible."""
        try:
            with self._lock:
                if append(self.path, line, self.limit):
                    return ""
        except OSError as error:
            return f"the dead letters in {self.path} cannot be written ({error.strerror})"
        return (
            f"the dead letters in {self.path} have reached their limit of {plain_size(self.limit)}, delivery "
            "waits: raise logs.dead-letters.size, or send them again with 'compose-agent logs replay', or "
            "move the file away"
        )


def append(path: Path, line: bytes, limit: int | None = None) -> bool:
    """Append a line whole and on disk, or leave the file as it was; raises OSError.

    False if the file would be larger than ``limit``; one that is empty takes any line.
    """
    descriptor = _opened(path)
    try:
        size = os.fstat(descriptor).st_size
        if limit is not None and size and size + len(line) > limit:
            return False
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line  # a power failure tore the letter before
        try:
            _write(descriptor, line)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        return True
    finally:
        os.close(descriptor)


def _opened(path: Path) -> int:
    """Open and lock the file that is at ``path``, not one that was just moved aside to be sent again."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return descriptor
        os.close(descriptor)


def _write(descriptor: int, line: bytes) -> None:
    if os.write(descriptor, line) != len(line):  # the disk was full in the middle of it
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(descriptor)


def _letter(sink: str, container: Container, event: Event, reason: str) -> dict[str, Any]:
    return {
        "at": datetime.fromtimestamp(time.time(), UTC).isoformat(),
        "sink": sink,
        "reason": reason,
        "event": event,
        "container": {
            "id": container.id,
            "name": container.name,
            "image": container.image,
            "labels": dict(container.labels),
        },
    }
