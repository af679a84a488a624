"""Secrets in a file, one a line, read again when it changes."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from compose_agent.errors import ConfigError, Problem

logger = logging.getLogger(__name__)

# Thousands of secrets; a file that is larger is not one of them.
_MOST_BYTES = 64 * 1024

# Modification time in ns, size, inode; None for a file that is not there.
_Mark = tuple[int, int, int] | None


class SecretFile:
    """The secrets of ``path``: every line that is not empty, without the blanks around it.

    The constructor raises ConfigError when there is none. Later a version that cannot be read, or says
    nothing, leaves the one before in force and is logged once: a file that is being replaced must neither
    lock everybody out nor let everybody in.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen = self._mark()
        self._secrets = self._read()

    def current(self) -> Sequence[bytes]:
        """Return the secrets in force; costs one stat when nothing has changed."""
        if self._mark() != self._seen:
            self._reload()
        return self._secrets

    def _reload(self) -> None:
        with self._lock:
            mark = self._mark()
            if mark == self._seen:
                return  # another thread was first
            # Noted before reading, so that a change meanwhile is found the next time.
            self._seen = mark
            try:
                self._secrets = self._read()
            except ConfigError as error:
                logger.error(  # noqa: TRY400 - the message says where; a traceback would say nothing
                    "secrets cannot be read, those before stay in force", extra={"error": str(error)}
                )
            else:
                logger.info("secrets read again", extra={"file": str(self.path)})

    def _read(self) -> Sequence[bytes]:
        try:
            with self.path.open("rb") as file:
                text = file.read(_MOST_BYTES + 1)
        except OSError as error:
            raise ConfigError(Problem(str(self.path), f"cannot be read: {error.strerror}")) from error
        if len(text) > _MOST_BYTES:
            raise ConfigError(
                Problem(str(self.path), f"expected secrets, at most {_MOST_BYTES} bytes of them")
            )
        secrets = tuple(line.strip() for line in text.splitlines() if line.strip())
        if not secrets:
            raise ConfigError(Problem(str(self.path), "expected a secret, one a line, and found none"))
        return secrets

    def _mark(self) -> _Mark:
        with suppress(OSError):
            status = os.stat(self.path)  # noqa: PTH116 - a third of the cost of Path.stat, on every request
            return status.st_mtime_ns, status.st_size, status.st_ino
        return None
