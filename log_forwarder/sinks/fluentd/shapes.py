"""What all events of a container have in common, packed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from log_forwarder.event import metadata
from log_forwarder.sinks.fluentd.tags import TagTemplate

# Above the containers of any one host; a thousand take about a megabyte.
MOST_SHAPES = 1024

_pack = msgspec.msgpack.Encoder().encode
_LAST_FIXMAP = 15

Attrs = Mapping[str, str] | None


@dataclass(slots=True)
class Shape:
    """A container's tag and metadata, and the packed beginnings of its records.

    A head is a record's map header, its constant keys and the key ``log``; the text, the key ``event_id`` and
    the id follow it. ``heads`` has those of the streams without attributes.
    """

    container: Container
    tag: str
    known: Mapping[str, str]
    heads: dict[str, bytes] = field(default_factory=dict)
    _dressed: dict[str, tuple[Attrs, bytes]] = field(default_factory=dict)
    _taken: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._taken = frozenset((*self.known, "source", "log", "event_id"))

    def head(self, stream: str, attrs: Attrs = None) -> bytes:
        """Return the beginning of the records of a stream with these attributes."""
        if attrs:
            # The log driver adds the same ones to every line of a container.
            last, head = self._dressed.get(stream, (None, b""))
            if last != attrs:
                head = self._packed({"source": stream, "attrs": dict(attrs)})
                self._dressed[stream] = (attrs, head)
            return head
        if stream not in self.heads:
            self.heads[stream] = self._packed({"source": stream})
        return self.heads[stream]

    def head_with(self, fields: Mapping[str, Any], stream: str, attrs: Attrs) -> bytes:
        """Return the beginning of a record with ``fields`` of the line, which never hide what is known."""
        taken = self._taken if not attrs else self._taken | {"attrs"}
        if not taken.isdisjoint(fields):
            fields = {key: value for key, value in fields.items() if key not in taken}
        head, packed = self.head(stream, attrs), _pack(fields)
        own = len(self.known) + (4 if attrs else 3)  # source, log, event_id, attrs
        found, known = packed[len(_map_header(len(fields))) :], head[len(_map_header(own)) :]
        return _map_header(own + len(fields)) + found + known

    def _packed(self, further: Mapping[str, object]) -> bytes:
        constant = {**self.known, **further}
        pairs = b"".join(_pack(part) for pair in constant.items() for part in pair)
        return _map_header(len(constant) + 2) + pairs + _pack("log")


class Shapes:
    """The shapes of the containers that were seen last, at most ``MOST_SHAPES``."""

    def __init__(self, template: TagTemplate, host: str) -> None:
        self._template = template
        self._host = host
        self._shapes: dict[str, Shape] = {}

    def of(self, container: Container) -> Shape:
        """Return the shape of a container as it is now."""
        shape = self._shapes.get(container.id)
        if shape is None or shape.container is not container:
            shape = self._made(container)
        return shape

    def __len__(self) -> int:
        return len(self._shapes)

    def _made(self, container: Container) -> Shape:
        known = metadata(container, self._host)
        shape = Shape(container, self._template.render(known), known)
        if container.id not in self._shapes and len(self._shapes) >= MOST_SHAPES:
            del self._shapes[next(iter(self._shapes))]
        self._shapes[container.id] = shape
        return shape


def _map_header(size: int) -> bytes:
    if size <= _LAST_FIXMAP:
        return bytes([0x80 | size])
    return b"\xde" + size.to_bytes(2, "big") if size < 2**16 else b"\xdf" + size.to_bytes(4, "big")
