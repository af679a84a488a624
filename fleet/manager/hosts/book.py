"""What hosts have told, in memory; packed, because ten thousand hosts have half a million containers."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from compose_agent.errors import StateError
from compose_agent.typed import from_msgpack
from fleet.envelopes.host import (
    ACTIONS,
    CONTAINERS,
    ID_DIGITS,
    LOAD,
    MOST_ACTIONS,
    MOST_CONTAINERS,
    ActionLine,
    ContainerLine,
    Load,
)
from fleet.manager.hosts.store import HostStore, Key
from fleet.manager.model import Node
from fleet.manager.registry import Registry

logger = logging.getLogger(__name__)

# What a manager forgets when it is killed; an agent tells it anew when it connects.
_EVERY_SECONDS = 2.0
_LONGEST_TEXT = 300
_SPEED = 1
_SEPARATOR = "\n"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owner:
    """A host that has a container which is called for; ``container`` is its name."""

    uid: bytes
    container: str


@dataclass(frozen=True, slots=True)
class _Names:
    """Ids and names of a host's containers, in the same order, as texts in which one is found quickly."""

    ids: str
    names: str

    def by_id(self, digits: str) -> str | None:
        at = self.ids.find(_SEPARATOR + digits)
        if at < 0:
            return None
        return self.names.split(_SEPARATOR)[self.ids.count(_SEPARATOR, 0, at + 1)]

    def by_name(self, name: str) -> str | None:
        return name if f"{_SEPARATOR}{name}{_SEPARATOR}" in self.names else None


class Book:
    """The manager's half of the capability. ``changed`` is called when pages have something new to show."""

    def __init__(self, registry: Registry, store: HostStore, changed: Callable[[], None]) -> None:
        self._registry = registry
        self._store = store
        self._changed = changed
        self._told: dict[Key, bytes] = {}
        self._names: dict[bytes, _Names] = {}
        self._unwritten: set[Key] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="manager-hosts", daemon=True)

    def start(self) -> None:
        """Take up what is on disk, and begin to write what is told. Raises StateError."""
        for (uid, kind), packed in self._store.load().items():
            self._told[uid, kind] = packed
            if kind == CONTAINERS:
                self._names[uid] = _names(_unpacked(packed, list[ContainerLine]))
        self._thread.start()

    def stop(self) -> None:
        """Write what there is, and end."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def arrived(self, node: Node) -> None:
        """Wait for what the agent tells by itself."""

    def take(self, node: Node, kind: str, data: bytes) -> None:
        """Take a telling; one that cannot be read leaves the one before."""
        try:
            if kind == LOAD:
                node.load = from_msgpack(data, Load)
                return
            if kind == CONTAINERS:
                self._take_containers(node.uid, from_msgpack(data, list[ContainerLine]))
            elif kind == ACTIONS:
                actions = from_msgpack(data, list[ActionLine])[:MOST_ACTIONS]
                self._keep((node.uid, ACTIONS), [_cut(each) for each in actions])
        except msgspec.MsgspecError as error:
            logger.debug(
                "what a host tells cannot be read", extra={"node": node.node_id, "error": str(error)}
            )
            return
        self._changed()

    def containers(self, uid: bytes) -> list[ContainerLine]:
        """Return a host's containers as it has last told of them."""
        packed = self._told.get((uid, CONTAINERS))
        return _unpacked(packed, list[ContainerLine]) if packed else []

    def actions(self, uid: bytes) -> list[ActionLine]:
        """Return a host's last actions, the newest first."""
        packed = self._told.get((uid, ACTIONS))
        return _unpacked(packed, list[ActionLine]) if packed else []

    def with_id(self, container: str) -> list[Owner]:
        """Return the hosts that have a container with this id, of twelve digits or more."""
        digits = container.lower()[:ID_DIGITS]
        return self._owners(lambda names: names.by_id(digits)) if len(digits) == ID_DIGITS else []

    def with_name(self, name: str) -> list[Owner]:
        """Return the hosts that have a container of this name."""
        return self._owners(lambda names: names.by_name(name)) if name and _SEPARATOR not in name else []

    def flush(self) -> None:
        """Write what was told since the last time, and drop hosts that are no nodes any more."""
        with self._lock:
            keys, self._unwritten = self._unwritten, set()
            gone = {uid for uid, _ in self._told if self._registry.get(uid) is None}
            for key in [key for key in self._told if key[0] in gone]:
                del self._told[key]
                self._names.pop(key[0], None)
            told = {key: self._told[key] for key in keys if key in self._told}
        if not (told or gone):
            return
        try:
            self._store.write(told, gone)
        except StateError:  # the writer of the nodes says so
            with self._lock:
                self._unwritten |= set(told)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_SECONDS):
            self.flush()
        self.flush()

    def _take_containers(self, uid: bytes, containers: list[ContainerLine]) -> None:
        kept = [_cut(each) for each in containers[:MOST_CONTAINERS]]
        self._names[uid] = _names(kept)
        self._keep((uid, CONTAINERS), kept)

    def _keep(self, key: Key, lines: object) -> None:
        packed = zlib.compress(msgspec.msgpack.encode(lines), _SPEED)
        with self._lock:
            self._told[key] = packed
            self._unwritten.add(key)

    def _owners(self, look: Callable[[_Names], str | None]) -> list[Owner]:
        found = ((uid, look(names)) for uid, names in list(self._names.items()))
        return [Owner(uid, name) for uid, name in found if name is not None]


def _names(containers: list[ContainerLine]) -> _Names:
    ids = "".join(f"{_SEPARATOR}{each.id}" for each in containers)
    return _Names(ids, "".join(f"{_SEPARATOR}{each.name}" for each in containers) + _SEPARATOR)


def _unpacked(packed: bytes, kind: type[T]) -> T:
    return from_msgpack(zlib.decompress(packed), kind)


Line = TypeVar("Line", ContainerLine, ActionLine)


def _cut(line: Line) -> Line:
    """Return a line without texts that nobody reads to their end, or that would be taken for two."""
    texts = {
        name: value[:_LONGEST_TEXT].replace(_SEPARATOR, " ")
        for name, value in msgspec.structs.asdict(line).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(line, **texts)
