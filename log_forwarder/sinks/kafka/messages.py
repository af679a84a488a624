"""Batches as Kafka messages: key, value and topic, and which of them have arrived."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from log_forwarder.event import Batch, Event, metadata
from log_forwarder.sinks.contract import Parcel
from log_forwarder.sinks.ecs import Documents
from log_forwarder.sinks.fluentd.tags import TagTemplate
from log_forwarder.sinks.kafka.options import LONGEST_TOPIC
from log_forwarder.sinks.ndjson import LineEncoder


@dataclass(frozen=True, slots=True)
class Message:
    """One event; the key is its container's id, so that its lines stay in order in one partition."""

    batch: Batch
    event: Event
    topic: str
    key: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Messages(Parcel):
    """A parcel of messages; ``arrived`` has a 1 for each that is in Kafka, whatever became of the parcel."""

    messages: Sequence[Message] = ()
    arrived: bytearray = field(default_factory=bytearray, repr=False)


class Packer:
    """Makes parcels; values are NDJSON or ECS."""

    def __init__(self, topic: TagTemplate, host: str, *, ecs: bool) -> None:
        self._topic = topic
        self._host = host
        self._values = Documents(host).encode if ecs else _lines(host)
        self._numbers = itertools.count(1)

    def pack(self, batches: Sequence[Batch]) -> list[Parcel]:
        """Return one parcel with all events, in order; none if there are none."""
        messages = [message for batch in batches for message in self._messages(batch)]
        if not messages:
            return []
        return [Messages(str(next(self._numbers)), b"", messages, bytearray(len(messages)))]

    def _messages(self, batch: Batch) -> list[Message]:
        topic = self._topic.render(metadata(batch.container, self._host))[:LONGEST_TOPIC]
        key = batch.container.id.encode()
        pairs = zip(batch.events, self._values(batch), strict=True)
        return [Message(batch, event, topic, key, value) for event, value in pairs]


def _lines(host: str) -> Callable[[Batch], list[bytes]]:
    encoder = LineEncoder(host)
    return lambda batch: [entry.data[:-1] for entry in encoder.entries(batch)]
