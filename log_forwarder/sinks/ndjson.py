"""Events as NDJSON: one object a line, as people and ``jq`` read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event, metadata
from log_forwarder.sinks.contract import Entry
from log_forwarder.sinks.elasticsearch.fields import to_json

_encode = msgspec.json.Encoder().encode
# The text of a line cannot contain this mark: within a JSON string each quote has a backslash before it.
_ID_MARK = b'"event_id":"'
# Containers whose metadata is kept encoded; beyond that all are encoded anew, so that nothing grows for ever.
_MOST_CONTAINERS = 2048


class _Head(msgspec.Struct, gc=False):
    time: str
    log: str
    source: str
    event_id: str


class LineEncoder:
    """Encodes events; what is the same for all events of a container is encoded once and spliced in."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._tails: dict[str, tuple[Container, bytes]] = {}

    def entries(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event; its data is a line with its newline.

        ``{"time", "log", "source", "event_id", …, "attrs"?, "fields"?}``, where ``…`` stands for
        :func:`log_forwarder.event.metadata`.
        """
        tail = self._tail(batch.container)
        return [Entry(batch, index, _line(event, tail)) for index, event in enumerate(batch.events)]

    def _tail(self, container: Container) -> bytes:
        known = self._tails.get(container.id)
        if known is None or known[0] is not container:
            if len(self._tails) >= _MOST_CONTAINERS:
                self._tails.clear()
            known = self._tails[container.id] = (container, _rest(metadata(container, self._host)))
        return known[1]


def event_id(line: bytes) -> bytes | None:
    """Return the event's id as it stands in a line; None for a line that is not ours."""
    begin = line.find(_ID_MARK) + len(_ID_MARK)
    end = line.find(b'"', begin)
    return line[begin:end] if begin >= len(_ID_MARK) and end > begin else None


def _line(event: Event, tail: bytes) -> bytes:
    try:
        head = _encode(_Head(event.time, event.log, event.stream, event.id))
    except UnicodeEncodeError:  # half a surrogate pair
        head = to_json({"time": event.time, "log": event.log, "source": event.stream, "event_id": event.id})
    if event.attrs is None and event.fields is None:
        return head[:-1] + tail
    more = {"attrs": event.attrs, "fields": event.fields}
    return head[:-1] + tail[:-2] + _rest({key: value for key, value in more.items() if value is not None})


def _rest(members: Mapping[str, Any]) -> bytes:
    """Return the end of an object and of its line, to be put behind other members."""
    return (b"," + to_json(members)[1:] if members else b"}") + b"\n"
