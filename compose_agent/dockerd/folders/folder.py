"""One container's folder: what was seen of it, and what its listener was told."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from compose_agent.dockerd.folders.contract import FolderListener, Tally
from compose_agent.dockerd.folders.model import (
    CONFIG,
    HOST_CONFIG,
    LOCAL_LOGS,
    container_from_folder,
    is_log,
    unknown_container,
)
from compose_agent.dockerd.model import Container
from compose_agent.errors import EngineGarbage

# A time of change younger than this proves nothing: what happens within the same tick of the file system's
# clock (10 ms; 1 s on old ones) leaves it as it is.
_SETTLED_NS = 2_000_000_000

# Time of change in nanoseconds, and inode: a file that was replaced has another one.
Signature = tuple[int, int]
_UNKNOWN: Signature = (-1, -1)

# The place of the logs of the driver "local", as it stands before their names.
LOCAL = f"{LOCAL_LOGS}/"


class Folder:
    """A container's folder. ``look`` finds what is new in it, ``named`` takes a notice that says so.

    ``parts`` are the folders to watch: the folder itself (empty) and ``local-logs/`` once it is there.
    ``round_`` counts readings of notices: a listing may be ahead of those that were read before it or right
    after it, which are not told twice.
    """

    def __init__(self, path: Path, listener: FolderListener, tally: Tally) -> None:
        self.path = path
        self.id = path.name
        self.parts = [""]
        self._listener = listener
        self._tally = tally
        self._told: Container | None = None
        self._latest: Container | None = None
        self._inodes: dict[str, int] = {}
        self._listed: dict[str, Signature] = {}
        self._config: Signature | None = None
        self._round = 0

    @property
    def appeared(self) -> bool:
        """Whether the listener knows of this container."""
        return self._told is not None

    def look(self, round_: int) -> None:
        """Report what has changed; a handful of ``stat`` when nothing has. Raises OSError."""
        created = [name for part in tuple(self.parts) for name in self._new_files(part, round_)]
        if self._config is None or self._config != self._signature(CONFIG):
            self._read()
        self._report(has_log=bool(created))
        for name in created:
            self._listener.file_created(self.id, name)

    def named(self, part: str, name: str, round_: int) -> None:
        """Report what a new name in a part of the folder means. Raises PermissionError."""
        if not part and (name == CONFIG or (name == HOST_CONFIG and self._latest is None)):
            self._read()
            self._report(has_log=False)
        elif is_log(name):
            self._created(part + name, round_)

    def _created(self, name: str, round_: int) -> None:
        inode = _inode(self.path / name)
        if inode and self._inodes.get(name) == inode and round_ <= self._round + 1:
            return  # the listing was ahead of this notice
        self._inodes[name] = inode
        if self._latest is None:
            self._read()
        self._report(has_log=True)
        self._listener.file_created(self.id, name)

    def _report(self, *, has_log: bool) -> None:
        latest = self._latest
        if self._told is None:
            if latest or has_log:
                self._told = latest or unknown_container(self.id)
                self._listener.appeared(self._told, self.path)
        elif latest and _differ(latest, self._told):
            self._told = latest
            self._listener.changed(latest)

    def _new_files(self, part: str, round_: int) -> list[str]:
        """Return the logs in a part of the folder that are others than before, by name and inode."""
        signature = self._signature(part)
        if signature is None and not part:
            raise FileNotFoundError(self.path)
        if signature is None or self._listed.get(part) == signature:
            return []
        self._round = round_
        logs = self._list(part)
        new = [name for name in sorted(logs) if self._inodes.get(name) != logs[name]]
        kept = {name: inode for name, inode in self._inodes.items() if name.startswith(LOCAL) != bool(part)}
        self._inodes = kept | logs
        self._listed[part] = signature if _settled(signature) else _UNKNOWN
        return new

    def _list(self, part: str) -> dict[str, int]:
        """Return the inodes of the logs in a part of the folder, and take note of a new part."""
        with os.scandir(self.path / part) as entries:
            found = list(entries)
        if LOCAL not in self.parts and any(each.name == LOCAL_LOGS for each in found):
            self.parts.append(LOCAL)
        return {part + each.name: each.inode() for each in found if is_log(each.name) and each.is_file()}

    def _signature(self, name: str) -> Signature | None:
        try:
            status = os.stat(self.path / name)  # noqa: PTH116 - runs for each container in each sweep
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_ino

    def _read(self) -> None:
        """Read the configuration; one that is not there or not whole is tried again at the next occasion."""
        self._config = None
        try:
            signature = self._signature(CONFIG)
            config = json.loads((self.path / CONFIG).read_bytes())
            container = container_from_folder(config, json.loads((self.path / HOST_CONFIG).read_bytes()))
        except FileNotFoundError:
            return
        except (ValueError, RecursionError, EngineGarbage):
            self._tally.add("unreadable")
            return
        if container.id != self.id:
            self._tally.add("unreadable")
            return
        self._tally.add("reads")
        self._latest = container
        self._config = signature if signature and _settled(signature) else None


def _settled(signature: Signature) -> bool:
    return abs(time.time_ns() - signature[0]) > _SETTLED_NS


def _differ(one: Container, other: Container) -> bool:
    """Tell whether two differ, also in what is not compared because the Engine announces no change of it."""
    return one != other or one.addresses != other.addresses or one.published_ports != other.published_ports


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0
