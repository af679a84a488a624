from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from lab.kafka import Kafka
from lab.loopback import listens
from tests.log_forwarder.sinks.kafka.consuming import consumed


@pytest.fixture(scope="module")
def server() -> Iterator[Kafka]:
    with Kafka() as started:
        yield started


def test_it_comes_back_with_its_messages_after_a_kill(server: Kafka) -> None:
    producer = Producer({"bootstrap.servers": server.address, "enable.idempotence": True})
    producer.produce("lab", b"value", b"key", headers=[("event_id", b"id")])
    assert producer.flush(30) == 0
    producer.close()
    server.process.close()
    assert not listens(server.address)
    server.process.start()
    assert [message.event_id for message in consumed(server.address, ["lab"])] == ["id"]
