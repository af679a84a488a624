"""Log events and the batches they travel in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec

from compose_agent.dockerd.model import Container


class Event(msgspec.Struct, gc=False):
    """One line of one container, as Docker wrote it; also the shape of a json-file record.

    ``log`` is the line without its newline, ``stream`` is ``stdout`` or ``stderr``, ``time`` is RFC 3339 in
    UTC with up to nine digits, ``attrs`` are those that the log driver was told to add. ``id`` is the same
    whenever the line is read again. ``fields`` holds what transforms found in the line.
    """

    log: str
    stream: str
    time: str
    attrs: dict[str, str] | None = None
    id: str = ""
    fields: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a container's log: the generation of the file, and the offset of a record in it.

    A generation is one file from its creation to its removal, through every rename and compression.
    """

    generation: str
    offset: int


@dataclass(frozen=True, slots=True)
class Position:
    """How far a container's log is read: everything before ``mark``, but for what is held back.

    ``held`` has, for a stream whose last line is not complete yet, where that line begins: from there on the
    records of that stream are read once more.
    """

    mark: Mark
    held: tuple[tuple[str, Mark], ...] = ()


class Owner(Protocol):
    """Where a batch comes from; hears in any order which batches are settled."""

    def settled(self, batch: Batch) -> None:
        """Take note that every event of ``batch`` is stored, dropped or dead-lettered."""


@dataclass(eq=False, slots=True)
class Batch:
    """Events of one container in their order, with the position after them.

    ``size`` is what they took in the source, in bytes. ``again`` says that an earlier attempt may have stored
    some of them without our having seen the answer. ``read_at`` is on the monotonic clock.
    """

    container: Container
    events: list[Event]
    size: int
    end: Position
    owner: Owner
    again: bool = False
    read_at: float = field(default_factory=time.monotonic)


def metadata(container: Container, host: str) -> Mapping[str, str]:
    """Return what every event of a container carries, by the names of Docker's own fluentd driver."""
    found = {
        "container_id": container.id,
        "container_name": f"/{container.name}" if container.name else "",
        "image": container.image,
        "compose_project": container.compose_project,
        "compose_service": container.compose_service,
        "compose_number": container.compose_number,
        "host": host,
    }
    return {key: text for key, text in found.items() if text}
