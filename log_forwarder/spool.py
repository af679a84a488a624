"""Copies of log files that Docker removes before every sink has them.

A copy is another place for the same generation: offsets, ids and positions stay as they are.  It lies on
disk, and is entered in the store, before the original is let go; so it survives a kill at any moment.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from compose_agent.durable import sync_folder
from compose_agent.errors import StateError
from compose_agent.typed import any_from_json
from log_forwarder.share import ID_DIGITS
from log_forwarder.sources.chain import Chain
from log_forwarder.sources.generation import BLOCK_BYTES, Generation
from log_forwarder.store import Spooled, Store

logger = logging.getLogger(__name__)

FOLDER_NAME = "spool"
# The container, the generation, and the offset of the copy's first byte.
_COPY_NAME = re.compile(r"(.{1,12})-[0-9a-f]{12}-[0-9]+")


class Spool:
    """The folder of copies, at most ``limit`` bytes; thread-safe.

    ``mine`` tells by twelve digits which containers' copies are this spool's; others share the folder.
    """

    def __init__(
        self, store: Store, limit: int, mine: Callable[[str], bool] = lambda _container: True
    ) -> None:
        self.folder = store.folder / FOLDER_NAME
        self.limit = limit
        self.error = ""
        self.rescued_bytes = 0
        self._store = store
        self._mine = mine
        self._lock = threading.Lock()
        self._entries: dict[tuple[str, str], Spooled] = {}

    @property
    def used(self) -> int:
        """How many bytes the copies take."""
        return sum(each.size for each in list(self._entries.values()))

    def load(self) -> None:
        """Take what earlier runs left, and remove what is no whole copy. Raises StateError."""
        for entry in self._store.spooled():
            if not self._mine(entry.container[:ID_DIGITS]):
                continue
            try:
                descriptor = self._opened(entry)
            except FileNotFoundError:
                logger.warning("a copy is missing in the spool", extra={"generation": entry.generation})
                self._store.remove_spooled(entry.container, entry.generation)
                continue
            try:
                self._check(entry, descriptor)
            finally:
                os.close(descriptor)
            self._entries[entry.container, entry.generation] = entry
        self._remove_strangers()

    def containers(self) -> list[Container]:
        """Return the containers of which there are copies, as they were known when the last was made."""
        last = {entry.container: entry for entry in list(self._entries.values())}
        return [_container(entry.description) for entry in last.values()]

    def open(self, container: str, generation: str) -> Generation | None:
        """Return a copy as a generation of its own; None if there is none, or it cannot be opened."""
        if (entry := self._entries.get((container, generation))) is None:
            return None
        try:
            return _generation(entry, self._opened(entry))
        except OSError as error:
            self._failed(container, error)
            return None

    def rescue(self, container: Container, chain: Chain, generation: Generation, start: int) -> bool:
        """Copy a file from ``start`` on and put the copy in its place; False if it does not fit.

        Nothing is changed when the disk fails; ``error`` then says why.
        """
        first = 0 if generation.compressed else start
        known = self._entries.get((container.id, generation.name))
        anew = known is None or known.start > first
        if anew and not self._copied(container, generation, first):
            return False
        copy = self.open(container.id, generation.name)
        if copy is not None and chain.replace(generation, copy):
            return True
        if anew and copy is not None:  # every sink has it by now, and nobody would remove the copy
            self._removed(container.id, generation.name)
        return False

    def remove(self, container: str, generation: str) -> None:
        """Remove a copy that every sink has; raises StateError."""
        with self._lock:
            entry = self._entries.pop((container, generation), None)
        if entry is not None:
            self._store.remove_spooled(container, generation)
            self._path_of(entry).unlink(missing_ok=True)

    def _removed(self, container: str, generation: str) -> None:
        try:
            self.remove(container, generation)
        except StateError as error:
            self._failed(container, error)

    def of(self, container: str) -> list[str]:
        """Return the generations of a container of which there are copies."""
        return [generation for each, generation in list(self._entries) if each == container]

    def _copied(self, container: Container, generation: Generation, start: int) -> bool:
        size = generation.end() - start
        if self.used + size > self.limit:
            return False
        try:
            entry = self._copy(container, generation, start)
            self._store.add_spooled(entry)
        except (OSError, StateError) as error:
            if generation.is_open:  # else its log was let go meanwhile
                self._failed(container.name, error)
            return False
        self.error = ""
        with self._lock:
            shorter = self._entries.get((entry.container, entry.generation))
            self._entries[entry.container, entry.generation] = entry
            self.rescued_bytes += entry.size
        if shorter is not None:
            self._path_of(shorter).unlink(missing_ok=True)
        logger.info(
            "kept what Docker removes and a sink has not",
            extra={"container": container.name, "bytes": entry.size},
        )
        return True

    def _copy(self, container: Container, generation: Generation, start: int) -> Spooled:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self._path(container.id, generation.name, start)
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            crc = generation.copy(target, start)
            os.fsync(target)
            size = os.fstat(target).st_size
        except OSError:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(target)
        sync_folder(self.folder)
        return Spooled(
            container.id, generation.name, start, size, generation.compressed, crc, _description(container)
        )

    def _check(self, entry: Spooled, descriptor: int) -> None:
        crc = 0
        for block in _blocks(descriptor):
            crc = zlib.crc32(block, crc)
        if crc != entry.crc:
            # What is whole in it is read all the same; damaged records are counted where they are read.
            logger.error("a copy in the spool is damaged", extra={"generation": entry.generation})

    def _remove_strangers(self) -> None:
        """Remove copies that a kill left before they were entered."""
        known = {self._path_of(entry) for entry in self._entries.values()}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            name = _COPY_NAME.fullmatch(path.name)
            if path not in known and name and self._mine(name[1]):
                path.unlink()

    def _failed(self, container: str, error: Exception) -> None:
        text = str(error) if isinstance(error, StateError) else f"{self.folder}: {error}"
        if not self.error:
            logger.error("logs cannot be kept", extra={"container": container, "error": text})
        self.error = f"what Docker removes cannot be kept ({text})"

    def _opened(self, entry: Spooled) -> int:
        return os.open(self._path_of(entry), os.O_RDONLY | os.O_CLOEXEC)

    def _path_of(self, entry: Spooled) -> Path:
        return self._path(entry.container, entry.generation, entry.start)

    def _path(self, container: str, generation: str, start: int) -> Path:
        return self.folder / f"{container[:ID_DIGITS]}-{generation}-{start}"


def _generation(entry: Spooled, descriptor: int) -> Generation:
    return Generation(descriptor, compressed=entry.compressed, start=entry.start, copy_of=entry.generation)


def _blocks(descriptor: int) -> Iterator[bytes]:
    offset = 0
    while block := os.pread(descriptor, BLOCK_BYTES, offset):
        offset += len(block)
        yield block


def _description(container: Container) -> bytes:
    """Return what is needed of a container after its folder is gone."""
    return msgspec.json.encode(
        {
            "id": container.id,
            "name": container.name,
            "image": container.image,
            "image_id": container.image_id,
            "created_at": container.created_at,
            "log_driver": container.log_driver,
            "labels": dict(container.labels),
        }
    )


def _container(description: bytes) -> Container:
    known: dict[str, Any] = any_from_json(description)
    return Container(state="dead", **known)
