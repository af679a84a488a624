"""Events as the values of Loki's push API, and the streams that they belong to.

A value is ``["<nanoseconds>", "<line>", {structured metadata}]``. Labels name a stream; there are few, and
their values are bounded by what runs on a host, because each combination is an index entry and chunks of its
own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event
from log_forwarder.sinks.contract import Entry
from log_forwarder.sinks.elasticsearch.fields import to_json
from log_forwarder.sinks.nanoseconds import Nanoseconds

# Containers whose labels are kept; beyond that all are prepared anew, which takes microseconds each.
_MOST_FORMS = 2000
# What of an event's fields people look for across streams; a line's other fields are parsed at query time.
_LIFTED = ("level", "trace_id", "span_id")

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's labels, as JSON for the request and as Loki itself writes them in its answers."""

    json: bytes
    text: str


class Encoder:
    """Encodes batches; ``metadata`` puts the event's id behind each line."""

    def __init__(self, host: str, *, metadata: bool) -> None:
        self._host = host
        self._metadata = metadata
        self._times = Nanoseconds()
        self._streams: dict[str, tuple[Container, dict[str, Stream]]] = {}

    def encode(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event; its data is a value."""
        value = self._value if self._metadata else self._bare_value
        return [Entry(batch, index, value(event)) for index, event in enumerate(batch.events)]

    def request(self, entries: Iterable[Entry]) -> bytes:
        """Return the body of a push with all entries, those of a stream together and in order."""
        by_stream: dict[Stream, list[bytes]] = {}
        for entry in entries:
            by_stream.setdefault(self.stream(entry), []).append(entry.data)
        streams = (_stream_object(stream, values) for stream, values in by_stream.items())
        return b'{"streams":[%b]}' % b",".join(streams)

    def stream(self, entry: Entry) -> Stream:
        """Return the stream of an entry."""
        container = entry.batch.container
        known = self._streams.get(container.id)
        if known is None or known[0] is not container:
            if len(self._streams) >= _MOST_FORMS:
                self._streams.clear()
            known = self._streams[container.id] = (container, {})
        name = entry.event.stream
        if (stream := known[1].get(name)) is None:
            stream = known[1][name] = _stream(labels(container, name, self._host))
        return stream

    def _value(self, event: Event) -> bytes:
        """Return a value. Every line of every container passes here."""
        try:
            line, name = _json(event.log), _json(event.id)
        except UnicodeEncodeError:  # half a surrogate pair
            line, name = to_json(event.log), to_json(event.id)
        lifted = _lifted(event.fields) if event.fields else b""
        return b'["%d",%b,{"event_id":%b%b}]' % (self._times.of(event.time), line, name, lifted)

    def _bare_value(self, event: Event) -> bytes:
        return b'["%d",%b]' % (self._times.of(event.time), to_json(event.log))


def labels(container: Container, stream: str, host: str) -> dict[str, str]:
    """Return the labels of a container's stream, without empty values."""
    found = {
        "container": container.name or container.short_id,
        "compose_project": container.compose_project,
        "compose_service": container.compose_service,
        "stream": stream,
        "host": host,
    }
    return {name: text for name, text in found.items() if text}


def _stream(found: Mapping[str, str]) -> Stream:
    text = ", ".join(f"{name}={to_json(found[name]).decode()}" for name in sorted(found))
    return Stream(to_json(found), f"{{{text}}}")


def _stream_object(stream: Stream, values: Sequence[bytes]) -> bytes:
    return b'{"stream":%b,"values":[%b]}' % (stream.json, b",".join(values))


def _lifted(found: Mapping[str, Any]) -> bytes:
    present = ((name, found[name]) for name in _LIFTED if found.get(name) is not None)
    # Loki takes strings only.
    return b"".join(b',"%b":%b' % (name.encode(), to_json(str(value))) for name, value in present)
