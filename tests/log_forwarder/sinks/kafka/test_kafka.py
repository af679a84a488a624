"""The sink against librdkafka's own mock cluster, which fails on demand, and against nobody."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
import trustme

from compose_agent.dockerd.model import Container
from compose_agent.errors import ConfigError
from lab.loopback import free_port
from log_forwarder.sinks import make_sink, parse
from log_forwarder.sinks.contract import Confirmation, SinkContext, SinkUnavailable
from log_forwarder.sinks.kafka import sink as module
from log_forwarder.sinks.kafka.messages import Messages
from log_forwarder.sinks.kafka.options import KafkaOptions
from log_forwarder.sinks.kafka.sink import KafkaSink
from tests.log_forwarder.making import container, make_batch, until
from tests.log_forwarder.sinks.courier import Delivery, dead_letters
from tests.log_forwarder.sinks.kafka.consuming import consumed
from tests.log_forwarder.sinks.lines import CONTAINER, batch, event, numbered

MOCK = {"test.mock.num.brokers": 3}
# What a loaded machine may take more than it should; the library itself would try for minutes.
SLACK_SECONDS = 15.0


@contextmanager
def cluster() -> Iterator[str]:
    """Start a mock cluster inside a producer of its own."""
    owner = confluent_kafka.Producer({"bootstrap.servers": "x", "log_level": 0, **MOCK})
    found = owner.list_topics(timeout=10).brokers.values()
    yield ",".join(f"{each.host}:{each.port}" for each in found)
    owner.close()


@pytest.fixture(scope="module")
def brokers() -> Iterator[str]:
    with cluster() as started:
        yield started


def sink(word: str, further: dict[str, Any] | None = None, library: Any = confluent_kafka) -> KafkaSink:
    return KafkaSink(library, KafkaOptions.read(parse(word)), "host-1", further)


def refused(folder: Path) -> list[tuple[str, str]]:
    """Return the lines of the dead letters, each with its reason."""
    return [(letter["event"]["log"], letter["reason"]) for letter in dead_letters(folder)]


def context(folder: Path) -> SinkContext:
    return SinkContext("kafka", "host-1", folder)


def test_a_line_is_a_message_with_its_container_as_key(brokers: str, tmp_path: Path) -> None:
    made = make_sink(parse(f"kafka://{brokers}/one-line"), context(tmp_path))
    assert Delivery(made, tmp_path, [numbered(7, 8)]).finish().sent == 1
    (message,) = consumed(brokers, ["one-line"])
    assert (message.key, message.event_id) == (CONTAINER.id, event(7).id)
    assert json.loads(message.value) == {
        "time": event(7).time,
        "log": "line 7",
        "source": "stdout",
        "event_id": event(7).id,
        "container_id": CONTAINER.id,
        "container_name": "/shop-web-1",
        "image": "web:1",
        "compose_project": "shop",
        "compose_service": "web",
        "compose_number": "1",
        "host": "host-1",
    }
    assert not message.value.endswith(b"\n")


@pytest.mark.parametrize("compress", ["lz4", "gzip", "zstd", "snappy", "none"])
def test_every_compression_is_taken(brokers: str, tmp_path: Path, compress: str) -> None:
    made = sink(f"kafka://{brokers}/with-{compress}?compress={compress}&format=ecs")
    Delivery(made, tmp_path, [numbered(0, 100)]).finish()
    values = [json.loads(each.value) for each in consumed(brokers, [f"with-{compress}"])]
    assert [each["message"] for each in values] == [f"line {n}" for n in range(100)]
    assert values[0]["container"]["name"] == "shop-web-1"


def test_each_project_has_its_topic_and_each_container_its_order(brokers: str, tmp_path: Path) -> None:
    made = sink(f"kafka://{brokers}/logs.{{compose_project}}")
    batches = [make_batch(*(f"{at}-{n}" for n in range(50)), of=each) for at in range(20) for each in _two()]
    assert Delivery(made, tmp_path, batches).finish().sent == 2000
    for topic, each in zip(("logs.shop", "logs.other_1"), _two(), strict=True):
        messages = consumed(brokers, [topic])
        assert {message.key for message in messages} == {each.id}
        assert len({message.partition for message in messages}) == 1
        assert [message.event_id for message in messages] == [
            f"{at}-{n}" for at in range(20) for n in range(50)
        ]


def _two() -> list[Container]:
    label = "com.docker.compose.project"
    return [container(labels={label: "shop"}), container("ef" * 32, labels={label: "other.1"})]


def test_a_line_that_is_too_long_is_refused_and_the_others_arrive(brokers: str, tmp_path: Path) -> None:
    made = sink(f"kafka://{brokers}/long?message-max=10KB")
    long = "x" * 20_000
    lines = [event(1), event(2, long), event(3)]
    tally = Delivery(made, tmp_path, [batch(lines)]).finish()
    assert (tally.read, tally.sent, tally.dead_lettered) == (3, 2, 1)
    assert [(log, "too large" in reason) for log, reason in refused(tmp_path)] == [(long, True)]
    assert [each.event_id for each in consumed(brokers, ["long"])] == [lines[0].id, lines[2].id]


def test_what_is_refused_is_told_once_also_when_the_producer_is_given_up_before_all_is_done(
    brokers: str, tmp_path: Path
) -> None:
    library = _Failing({1: confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED})
    made = sink(f"kafka://{brokers}/told-once?message-max=1KB", library=library)
    lines = [event(0, "x" * 2000), event(1)]
    tally = Delivery(made, tmp_path, [batch(lines)]).finish()
    assert (tally.sent, tally.dead_lettered) == (1, 1)
    assert [log for log, _ in refused(tmp_path)] == ["x" * 2000]


class _Failing:
    """A library whose producer reports failures: the sink is to do what each of them asks for."""

    KafkaError = confluent_kafka.KafkaError
    KafkaException = confluent_kafka.KafkaException

    def __init__(self, plan: dict[int, int]) -> None:
        self.plan = plan  # by the number of the message that was produced, the code it fails with
        self.produced = 0
        self.batch_sizes: list[int] = []

    def Producer(self, settings: dict[str, Any], **options: Any) -> Any:  # noqa: N802 - the library's name
        self.batch_sizes.append(settings["batch.size"])
        library = self
        real: Any = confluent_kafka.Producer(settings, **options)

        class Producer:
            def produce(self, *given: Any, on_delivery: Any, **more: Any) -> None:
                number = library.produced
                library.produced += 1
                if (code := library.plan.get(number)) is not None:
                    on_delivery(confluent_kafka.KafkaError(code), None)
                else:
                    real.produce(*given, on_delivery=on_delivery, **more)

            def __getattr__(self, name: str) -> Any:
                return getattr(real, name)

        return Producer()


def test_brokers_that_take_smaller_batches_get_them_and_what_has_arrived_is_not_sent_again(
    brokers: str, tmp_path: Path
) -> None:
    too_large = confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    library = _Failing({4: too_large})
    made = sink(f"kafka://{brokers}/smaller", library=library)
    assert Delivery(made, tmp_path, [numbered(0, 10)]).finish().sent == 10
    assert library.batch_sizes == [1_000_000, 250_000]
    assert refused(tmp_path) == []
    ids = [each.event_id for each in consumed(brokers, ["smaller"])]
    assert sorted(set(ids)) == sorted(event(n).id for n in range(10))


def test_a_line_that_no_batch_is_small_enough_for_is_refused(brokers: str, tmp_path: Path) -> None:
    too_large = confluent_kafka.KafkaError.MSG_SIZE_TOO_LARGE
    library = _Failing(dict.fromkeys(range(50), too_large))
    made = sink(f"kafka://{brokers}/never", library=library)
    made._batch_bytes = 4000
    Delivery(made, tmp_path, [batch([event(1, "x" * 3000)])]).finish()
    assert [log for log, _ in refused(tmp_path)] == ["x" * 3000]


def test_a_topic_that_may_not_be_written_to_is_a_failure_that_waits_to_be_mended(
    brokers: str, tmp_path: Path
) -> None:
    forbidden = confluent_kafka.KafkaError.TOPIC_AUTHORIZATION_FAILED
    library = _Failing({0: forbidden, 3: forbidden})
    made = sink(f"kafka://{brokers}/forbidden", library=library)
    delivery = Delivery(made, tmp_path, [numbered(0, 3)])
    until(lambda: delivery.courier.health.failures["unavailable"])
    assert "messages to the topic forbidden fail" in delivery.courier.health.error
    assert delivery.finish().sent == 3
    assert {each.event_id for each in consumed(brokers, ["forbidden"])} == {event(n).id for n in range(3)}


def test_what_has_arrived_is_remembered_when_the_producer_is_given_up(brokers: str) -> None:
    made = sink(f"kafka://{brokers}/remembered")
    (parcel,) = made.encode([numbered(0, 3)])
    assert isinstance(parcel, Messages)
    made.connect()
    made.send(parcel)
    until(lambda: made.confirmed(0.1) == [Confirmation(parcel.id)])
    made.close()
    made.connect()
    made.send(parcel)
    assert made.confirmed(0) == [Confirmation(parcel.id)]
    made.close()
    assert len(consumed(brokers, ["remembered"])) == 3


def test_a_record_that_brokers_find_invalid_is_refused_and_its_neighbours_are_sent_again(
    brokers: str, tmp_path: Path
) -> None:
    errors: Any = confluent_kafka.KafkaError
    other, invalid = errors._INVALID_DIFFERENT_RECORD, errors.INVALID_RECORD
    made = sink(f"kafka://{brokers}/invalid", library=_Failing({0: other, 1: invalid, 2: other}))
    Delivery(made, tmp_path, [numbered(0, 4)]).finish()
    assert [log for log, _ in refused(tmp_path)] == ["line 1"]
    assert {each.event_id for each in consumed(brokers, ["invalid"])} == {event(n).id for n in (0, 2, 3)}


def test_a_producer_whose_brokers_are_gone_is_given_up_quickly() -> None:
    with cluster() as brokers:
        made = sink(f"kafka://{brokers}/gone")
        made.connect()
        for parcel in made.encode([numbered(0, 1)]):
            made.send(parcel)
        until(lambda: made.confirmed(0.2))
    for parcel in made.encode([numbered(1, 100)]):
        made.send(parcel)
    assert made.confirmed(0.2) == []
    begin = time.monotonic()
    made.close()
    assert time.monotonic() - begin < module._FLUSH_SECONDS + SLACK_SECONDS


def test_what_the_library_complains_of_is_told_soon_and_over_when_lines_arrive(tmp_path: Path) -> None:
    with cluster() as brokers:
        delivery = Delivery(sink(f"kafka://{brokers}/trouble"), tmp_path, [numbered(0, 10)])
        until(lambda: delivery.outbox.tally().sent == 10)
        assert delivery.courier.health.error == ""
    delivery.put([numbered(10, 20)])
    until(lambda: "Connection refused" in delivery.courier.health.error)
    assert delivery.courier.health.failures == {}
    delivery.give_up()


def test_a_full_queue_is_waited_for(brokers: str, tmp_path: Path) -> None:
    made = sink(f"kafka://{brokers}/full", further={"queue.buffering.max.messages": 10})
    assert Delivery(made, tmp_path, [numbered(0, 500)]).finish().sent == 500
    assert len(consumed(brokers, ["full"])) == 500


@pytest.mark.parametrize("servers", [1, 2])
def test_brokers_that_are_not_there_are_told_within_the_deadline(servers: int) -> None:
    hosts = ",".join(f"127.0.0.1:{free_port()}" for _ in range(servers))
    made = sink(f"kafka://{hosts}/t")
    begin = time.monotonic()
    with pytest.raises(
        SinkUnavailable, match=r"no broker of .*Connection refused.*: check the addr"
    ) as failed:
        made.connect()
    assert time.monotonic() - begin < module.CONNECT_SECONDS + SLACK_SECONDS
    assert not failed.value.unseen
    made.close()


def test_without_a_connection_nothing_is_sent() -> None:
    made = sink("kafka://h/t")
    (parcel,) = made.encode([numbered(0, 1)])
    for call in (lambda: made.send(parcel), lambda: made.confirmed(0)):
        with pytest.raises(SinkUnavailable, match="there is no producer"):
            call()
    assert made.encode([]) == []


def test_without_the_library_the_word_is_refused_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(ConfigError, match=r"pip install compose-agent\[kafka\]"):
        make_sink(parse("kafka://h/t"), context(tmp_path))


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("kafka:///t", "expected host:port"),
        ("kafka://h", "it names no topic, expected such as kafka://host:9092/docker-logs"),
        ("kafka://h/a/b", "'a/b' cannot be a topic"),
        ("kafka://h/" + "x" * 250, "cannot be a topic"),
        ("kafka://h/x.{compose_projekt}", "no field 'compose_projekt', did you mean 'compose_project'"),
        ("kafka://h/t?format=xml", "format: expected one of ndjson, ecs"),
        ("kafka://h/t?compress=zip", "compress: expected one of"),
        ("kafka://h/t?message-max=10", "message-max: expected 1KB to 1GB"),
        ("kafka://h/t?user=u", "user and password-file go together"),
        ("kafka://h/t?mechanism=PLAIN", r"mechanism: has a meaning only with user="),
        ("kafka://h/t?ca=/x", "ca: has a meaning only with tls=1"),
        ("kafka://h/t?server-name=x", "there is no option 'server-name'"),
    ],
)
def test_a_word_that_is_wrong_is_refused(word: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=problem):
        make_sink(parse(word), context(tmp_path))


def test_credentials_and_certificates_reach_the_library(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    word = f"kafka://a:1,b/t?tls=1&insecure=1&user=u&password-file={tmp_path}/password&mechanism=PLAIN"
    assert KafkaOptions.read(parse(word)).client() == {
        "bootstrap.servers": "a:1,b:9092",
        "security.protocol": "SASL_SSL",
        "enable.ssl.certificate.verification": False,
        "sasl.mechanism": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "secret",
    }


def test_certificates_are_read_by_the_library_when_it_connects(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    pem = tmp_path / "client.pem"
    authority.issue_cert("client").private_key_and_cert_chain_pem.write_to_path(str(pem))
    made = sink(f"kafka://127.0.0.1:{free_port()}/t?tls=1&ca={tmp_path}/ca.pem&cert={pem}")
    with pytest.raises(SinkUnavailable, match="Connection refused"):
        made.connect()
    pem.write_text("being replaced")
    with pytest.raises(SinkUnavailable, match="the producer cannot be made"):
        made.connect()
    made.close()
