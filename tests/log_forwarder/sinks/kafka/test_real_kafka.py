"""The sink against a real Kafka that is frozen and killed: everything is there, in order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from lab.kafka import Kafka
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import SinkContext
from tests.log_forwarder.making import container, make_batch, until
from tests.log_forwarder.sinks.courier import Delivery
from tests.log_forwarder.sinks.kafka.consuming import consumed
from tests.log_forwarder.sinks.lines import batch, event, numbered

SMALL_BYTES = 20_000
USUAL_BYTES = 1_048_588


@pytest.fixture(scope="module")
def server() -> Iterator[Kafka]:
    with Kafka({"message.max.bytes": str(SMALL_BYTES)}) as started:
        yield started


def delivery(server: Kafka, topic: str, folder: Path) -> Delivery:
    made = make_sink(parse(f"kafka://{server.address}/{topic}"), SinkContext("kafka", "host-1", folder))
    return Delivery(made, folder)


@pytest.fixture(scope="module")
def admin(server: Kafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": server.address})


def make_topic(admin: AdminClient, name: str, partitions: int = 1) -> None:
    """Make a topic that takes batches of the usual size, unlike the others of this server."""
    topic = NewTopic(name, partitions, 1, config={"max.message.bytes": str(USUAL_BYTES)})
    admin.create_topics([topic])[name].result(30)


def test_everything_is_consumed_once_in_the_order_of_each_container(
    server: Kafka, admin: AdminClient, tmp_path: Path
) -> None:
    containers = [container(f"{n:064x}") for n in range(6)]
    make_topic(admin, "everything", partitions=3)
    running = delivery(server, "everything", tmp_path)
    for at in range(100):
        running.put([make_batch(*(f"{at:03d}-{n:02d}" for n in range(20)), of=each) for each in containers])
    assert running.finish().sent == 12_000
    messages = consumed(server.address, ["everything"])
    assert len(messages) == 12_000
    assert len({message.partition for message in messages}) > 1
    for each in containers:
        ids = [message.event_id for message in messages if message.key == each.id]
        assert ids == [f"{at:03d}-{n:02d}" for at in range(100) for n in range(20)]


def test_batches_that_the_topic_is_too_small_for_are_sent_smaller_and_long_lines_are_refused(
    server: Kafka, tmp_path: Path
) -> None:
    # Random text, because brokers measure what is compressed.
    lines = [event(n, _noise(n, 500)) for n in range(200)]
    long = event(200, _noise(0, 60_000))
    running = delivery(server, "small", tmp_path)
    running.put([batch([*lines, long])])
    tally = running.finish()
    assert (tally.sent, tally.dead_lettered) == (200, 1)
    assert {message.event_id for message in consumed(server.address, ["small"])} == {
        each.id for each in lines
    }
    letters = (tmp_path / "dead-letters.ndjson").read_text().splitlines()
    assert [json.loads(letter)["event"]["id"] for letter in letters] == [long.id]


def test_a_topic_that_is_missing_is_told_before_the_stall_limit_and_used_when_it_is_made(
    tmp_path: Path,
) -> None:
    with Kafka({"auto.create.topics.enable": "false"}) as strict:
        running = delivery(strict, "missing", tmp_path)
        begin = time.monotonic()
        running.put([numbered(0, 10)])
        until(lambda: "messages to the topic missing fail" in running.courier.health.error, seconds=25.0)
        assert time.monotonic() - begin < 25  # stall-after
        admin = AdminClient({"bootstrap.servers": strict.address})
        admin.create_topics([NewTopic("missing", 1, 1)])["missing"].result(30)
        assert running.finish().sent == 10
        assert len(consumed(strict.address, ["missing"])) == 10


def test_frozen_and_killed_it_loses_nothing(server: Kafka, admin: AdminClient, tmp_path: Path) -> None:
    make_topic(admin, "faults")
    running = delivery(server, "faults", tmp_path)
    running.put([numbered(at, at + 100) for at in range(0, 2000, 100)])
    until(lambda: running.outbox.tally().sent)
    server.process.freeze()
    running.put([numbered(at, at + 100) for at in range(2000, 4000, 100)])
    server.process.thaw()
    until(lambda: running.outbox.tally().sent > 2000)
    server.process.close()
    running.put([numbered(at, at + 100) for at in range(4000, 6000, 100)])
    server.process.start()
    assert running.finish().sent == 6000
    ids = [message.event_id for message in consumed(server.address, ["faults"])]
    assert list(dict.fromkeys(ids)) == [event(n).id for n in range(6000)]
    assert len(ids) == 6000


def _noise(seed: int, length: int) -> str:
    return "".join(f"{(seed * 7919 + place) * 2654435761 % 2**32:08x}" for place in range(length // 8 + 1))
