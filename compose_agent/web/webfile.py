"""A web configuration file that is read again when it, a certificate, a key or an authority changes."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compose_agent.errors import ConfigError, Problem
from compose_agent.web import tlscontext, webconfig
from compose_agent.web.webconfig import WebConfig

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

logger = logging.getLogger(__name__)

# Per file: modification time in ns, size, inode; None for a file that is not there.
_Signature = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration with the TLS context made from it (None: plain HTTP)."""

    config: WebConfig
    context: ssl.SSLContext | None


@dataclass(frozen=True, slots=True)
class _Seen:
    files: tuple[Path, ...]
    signature: _Signature


class WebConfigFile:
    """The web configuration in force; the constructor raises ConfigError when the file is wrong.

    Later a wrong version keeps the one before it, is logged once, and is given to ``on_reload`` (None: a good
    version was taken) and to ``error`` until it is mended. Whether there is TLS at all is settled at the
    start: a listener that fell back to plain HTTP would have passwords sent in the clear. Users may come
    but not all go: a file cut off while it is written must not let everybody in.
    """

    def __init__(self, path: Path, on_reload: Callable[[ConfigError | None], None] | None = None) -> None:
        self.path = path
        self.error: ConfigError | None = None
        self._on_reload = on_reload
        self._lock = threading.Lock()
        self._seen = _Seen((path,), _signature((path,)))
        self._loaded = self._load(None)

    def current(self) -> Loaded:
        """Return the configuration in force; costs one stat per file when nothing has changed."""
        seen = self._seen
        if _signature(seen.files) != seen.signature:
            self._reload(seen)
        return self._loaded

    def _reload(self, before: _Seen) -> None:
        with self._lock:
            if self._seen is not before:
                return  # another thread was first
            try:
                self._loaded = self._load(self._loaded)
            except ConfigError as error:
                self.error = error
                logger.error(  # noqa: TRY400  # the message says where; a traceback would say nothing
                    "web configuration is wrong, the one before it stays in force",
                    extra={"error": str(error)},
                )
            else:
                self.error = None
                logger.info("web configuration read again", extra={"file": str(self.path)})
            if self._on_reload:
                self._on_reload(self.error)

    def _load(self, before: Loaded | None) -> Loaded:
        # What was seen is noted before reading, so that a change meanwhile is found the next time; and
        # with the files of the version that is read, so that a certificate that comes later is noticed.
        self._see(self._seen.files)
        config = webconfig.read(self.path)
        self._see((self.path, *(config.tls.files if config.tls else ())))
        loaded = Loaded(config, tlscontext.build(config.tls) if config.tls else None)
        if before and (what := _refusal(before, loaded)):
            raise ConfigError(Problem(f"{self.path}:1", what))
        return loaded

    def _see(self, files: tuple[Path, ...]) -> None:
        # The file itself keeps the older mark: it was read after that.
        marks = (self._seen.signature[0], *_signature(files[1:])) if files != self._seen.files else None
        self._seen = _Seen(files, marks or _signature(files))


def _refusal(before: Loaded, loaded: Loaded) -> str:
    if loaded.config == WebConfig() != before.config:
        return "the file says nothing any more, expected the settings, or a restart without them"
    if (before.context is None) is not (loaded.context is None):
        return "tls_server_config cannot come or go while the listener is open, expected a restart"
    if before.config.users and not loaded.config.users:
        return "basic_auth_users cannot go while the listener is open, expected a restart"
    return ""


def _signature(files: tuple[Path, ...]) -> _Signature:
    return tuple(map(_mark, files))


def _mark(file: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(file)  # noqa: PTH116  # a third of the cost of Path.stat, on every request
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
