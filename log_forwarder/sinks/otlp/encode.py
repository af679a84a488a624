"""Events as ``LogRecord`` messages of OTLP, built by hand: a line of 200 bytes costs about a microsecond.

Names and numbers are those of opentelemetry/proto/logs/v1/logs.proto; attributes are named by the semantic
conventions for containers and logs.
"""

from __future__ import annotations

import binascii
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from compose_agent import __version__
from compose_agent.dockerd.model import NUMBER_LABEL, PROJECT_LABEL, SERVICE_LABEL, Container
from compose_agent.protobuf import data, varint
from log_forwarder.event import Batch, Event
from log_forwarder.sinks.contract import Entry
from log_forwarder.sinks.elasticsearch.encode import image_parts
from log_forwarder.sinks.nanoseconds import Nanoseconds
from log_forwarder.sinks.otlp.severity import severity_number
from log_forwarder.sinks.otlp.values import key_value, text

# Containers whose constant part is kept; beyond that all are prepared anew, which takes microseconds each.
_MOST_FORMS = 2000
_COMPOSE_LABELS = (PROJECT_LABEL, SERVICE_LABEL, NUMBER_LABEL)
# LogRecord: time_unix_nano = 1 and observed_time_unix_nano = 11, both fixed64.
_TIMES = struct.Struct("<BQBQ")
_TIME, _OBSERVED_TIME = 0x09, 0x59
_SEVERITY_NUMBER, _SEVERITY_TEXT, _ATTRIBUTE, _TRACE_ID, _SPAN_ID = 2, 3, 6, 9, 10
_BODY = b"\x2a"  # 5
_STRING = b"\x0a"  # AnyValue.string_value = 1
_UID_KEY = data(1, b"log.record.uid") + b"\x12"
_LOG_RECORD = b"\x12"  # ScopeLogs.log_records = 2
_OWN_ATTRIBUTES = ("log.iostream", "log.record.uid")
_SCOPE = data(1, data(1, b"compose-agent") + data(2, __version__.encode()))
# Lengths of nearly all lines, ready made.
_LENGTHS = tuple(map(varint, range(4096)))


class Encoder:
    """Encodes batches; ``host`` is the name of this host, ``now`` gives nanoseconds since the epoch."""

    def __init__(self, host: str, now: Callable[[], int] = time.time_ns) -> None:
        self._host = host
        self._now = now
        self._times = Nanoseconds()
        self._resources: dict[str, tuple[Container, bytes]] = {}
        self._streams: dict[str, bytes] = {}

    def encode(self, batch: Batch) -> list[Entry]:
        """Return an entry for each event; its data is a field of ``ScopeLogs``."""
        now = self._now()
        return [Entry(batch, index, self._record(event, now)) for index, event in enumerate(batch.events)]

    def request(self, entries: Sequence[Entry]) -> bytes:
        """Return an ``ExportLogsServiceRequest`` with all entries, those of a container together."""
        by_container: dict[int, list[Entry]] = {}
        for entry in entries:
            by_container.setdefault(id(entry.batch.container), []).append(entry)
        return b"".join(self._resource_logs(each) for each in by_container.values())

    def _resource_logs(self, entries: Sequence[Entry]) -> bytes:
        resource = self._resource(entries[0].batch.container)
        scope_logs = _SCOPE + b"".join([entry.data for entry in entries])
        return data(1, resource + data(2, scope_logs))

    def _resource(self, container: Container) -> bytes:
        known = self._resources.get(container.id)
        if known is None or known[0] is not container:
            if len(self._resources) >= _MOST_FORMS:
                self._resources.clear()
            attributes = resource_attributes(container, self._host)
            packed = b"".join(data(1, key_value(key, value)) for key, value in attributes.items())
            known = self._resources[container.id] = (container, data(1, packed))
        return known[1]

    def _record(self, event: Event, now: int) -> bytes:
        """Return one record. Every line of every container passes here."""
        line, uid = text(event.log), text(event.id)
        body = _STRING + _length(len(line)) + line
        uid = _STRING + _length(len(uid)) + uid
        uid = _UID_KEY + _length(len(uid)) + uid
        stream = self._streams.get(event.stream) or self._stream(event.stream)
        times = _TIMES.pack(_TIME, self._times.of(event.time), _OBSERVED_TIME, now)
        parts = (times, _BODY, _length(len(body)), body, stream, b"\x32", _length(len(uid)), uid)
        record = b"".join(parts)
        if event.fields is not None or event.attrs is not None:
            record += b"".join(_found(event))
        return _LOG_RECORD + _length(len(record)) + record

    def _stream(self, stream: str) -> bytes:
        packed = data(_ATTRIBUTE, key_value("log.iostream", stream))
        if len(self._streams) < _MOST_FORMS:
            self._streams[stream] = packed
        return packed


def resource_attributes(container: Container, host: str) -> dict[str, str | list[str]]:
    """Return what is known of a container, by the names of the semantic conventions, without empty values."""
    image, tags = image_parts(container.image)
    found: dict[str, str | list[str]] = {
        "service.name": container.compose_service or container.name,
        "service.namespace": container.compose_project,
        "service.instance.id": container.id,
        "container.id": container.id,
        "container.name": container.name,
        "container.image.name": image,
        "container.image.tags": tags,
        "host.name": host,
    }
    found |= {f"container.label.{label}": container.labels.get(label, "") for label in _COMPOSE_LABELS}
    return {key: value for key, value in found.items() if value}


def _found(event: Event) -> Iterator[bytes]:
    """Yield the fields of a record for what was found in the line, and what the log driver added."""
    for key, value in (event.fields or {}).items():
        yield _lifted(key, value) or data(_ATTRIBUTE, key_value(_free(key), value))
    for key, value in (event.attrs or {}).items():
        yield data(_ATTRIBUTE, key_value(f"docker.attrs.{key}", value))


def _lifted(key: str, value: Any) -> bytes:
    """Return what has a field of its own in a record; nothing for what has none."""
    if key == "level" and isinstance(value, str):
        number = severity_number(value)
        packed = varint(_SEVERITY_NUMBER << 3) + varint(number) if number else b""
        return packed + data(_SEVERITY_TEXT, text(value))
    if key == "trace_id":
        return _id_field(_TRACE_ID, value, 16)
    if key == "span_id":
        return _id_field(_SPAN_ID, value, 8)
    return b""


def _id_field(number: int, value: Any, size: int) -> bytes:
    try:
        found = binascii.unhexlify(value)
    except (ValueError, TypeError):
        return b""
    # All zeros means that there is none.
    return data(number, found) if len(found) == size and any(found) else b""


def _free(key: str) -> str:
    return f"fields.{key}" if key in _OWN_ATTRIBUTES else key


def _length(number: int) -> bytes:
    return _LENGTHS[number] if number < 4096 else varint(number)
