"""Everything that is in a topic."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, TopicPartition

PATIENCE_SECONDS = 60.0
# Ends of partitions were asked before: what is missing is on its way.
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Consumed:
    """One message."""

    topic: str
    partition: int
    key: str
    value: bytes
    event_id: str


def consumed(servers: str, topics: Sequence[str]) -> list[Consumed]:
    """Return what is in topics at this moment, each partition in its order."""
    consumer: Any = Consumer(
        {"bootstrap.servers": servers, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    try:
        ends = {}
        for topic in topics:
            partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
            for number in partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
                if high > low:
                    ends[topic, number] = high
        consumer.assign([TopicPartition(topic, number, 0) for topic, number in ends])
        return _until(consumer, ends)
    finally:
        consumer.close()


def _until(consumer: Any, ends: dict[tuple[str, int], int]) -> list[Consumed]:
    found: list[Consumed] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    while ends:
        assert time.monotonic() < deadline, f"not consumed: {ends}"
        for message in consumer.consume(5000, _POLL_SECONDS):
            assert message.error() is None, message.error()
            place = message.topic(), message.partition()
            key, headers = message.key(), dict(message.headers() or [])
            found.append(Consumed(*place, key.decode(), message.value(), headers["event_id"].decode()))
            if message.offset() + 1 >= ends.get(place, 0):
                ends.pop(place, None)
    return found
