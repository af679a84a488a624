"""Batches as Kafka messages: key, value and topic, and what became of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from log_forwarder.event import Batch, Event, metadata
from log_forwarder.sinks.contract import Parcel, Refusal
from log_forwarder.sinks.ecs import Documents
from log_forwarder.sinks.fluentd.tags import TagTemplate
from log_forwarder.sinks.kafka.options import LONGEST_TOPIC
from log_forwarder.sinks.ndjson import LineEncoder


@dataclass(frozen=True, slots=True)
class Message:
    """One event; the key is its container's id, so that its lines stay in order in one partition."""

    batch: Batch
    index: int
    topic: str
    key: bytes
    value: bytes

    @property
    def event(self) -> Event:
        """The event itself."""
        return self.batch.events[self.index]


@dataclass(frozen=True, slots=True)
class Messages(Parcel):
    """A parcel of messages, and what became of them; both outlive the producer that they were given to.

    ``done`` has a 1 for each that is in Kafka, and for each that is among the ``refused``.
    """

    messages: Sequence[Message] = ()
    done: bytearray = field(default_factory=bytearray, repr=False)
    refused: list[Refusal] = field(default_factory=list)


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
        values = self._values(batch)
        assert len(values) == len(batch.events)  # noqa: S101 - the encoders are our own
        return [Message(batch, index, topic, key, value) for index, value in enumerate(values)]


def _lines(host: str) -> Callable[[Batch], list[bytes]]:
    encoder = LineEncoder(host)
    return lambda batch: [entry.data[:-1] for entry in encoder.entries(batch)]
