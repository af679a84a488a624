"""What triggers remember over a restart: one small value each."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from compose_agent.durable import sync_folder
from compose_agent.typed import from_json

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=msgspec.Struct)


class Memory(Protocol):
    """Values by name. Thread-safe."""

    def load(self, name: str) -> bytes | None:
        """Return what was last saved under this name, None when nothing was; raises OSError."""

    def save(self, name: str, data: bytes) -> None:
        """Replace the value of a name: on disk, whole or not at all, when it returns; raises OSError."""


class FolderMemory:
    """A file for each value, in a folder that exists and is this role's own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> bytes | None:
        """Return the file's content."""
        try:
            return self._file(name).read_bytes()
        except FileNotFoundError:
            return None

    def save(self, name: str, data: bytes) -> None:
        """Write a new file beside the old one, and put it in its place."""
        file = self._file(name)
        fresh = file.with_suffix(".new")
        with fresh.open("wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.replace(file)
        sync_folder(self._folder)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.json"


def recall(memory: Memory, name: str, kind: type[S]) -> S | None:
    """Return what was remembered, None when there is nothing or it cannot be read.

    Without it some signals may be told twice, which is no reason not to start.
    """
    try:
        data = memory.load(name)
        return None if data is None else from_json(data, kind)
    except (OSError, msgspec.MsgspecError) as error:
        logger.warning("a trigger starts without its memory", extra={"trigger": name, "error": str(error)})
        return None


def remember(memory: Memory, name: str, value: msgspec.Struct) -> bool:
    """Save a value; return False, and log it, when it could not be: the next one may."""
    try:
        memory.save(name, msgspec.json.encode(value))
    except OSError as error:
        logger.warning("a trigger cannot save its memory", extra={"trigger": name, "error": str(error)})
        return False
    return True
