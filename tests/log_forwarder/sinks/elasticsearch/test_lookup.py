from __future__ import annotations

from collections.abc import Iterator

import pytest

from compose_agent.address import Address
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.sinks.contract import SinkUnavailable
from log_forwarder.sinks.elasticsearch.lookup import PORTION, SETTLE_SECONDS, Lookup
from log_forwarder.sinks.elasticsearch.options import Target
from log_forwarder.sinks.http import HttpClient
from tests.log_forwarder.sinks.elasticsearch.build import STREAM


@pytest.fixture
def fake() -> Iterator[FakeBulk]:
    with FakeBulk() as started:
        yield started


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def lookup(fake: FakeBulk, pauses: list[float]) -> Iterator[Lookup]:
    client = HttpClient([Address("127.0.0.1", fake.port)], answer_seconds=5)
    yield Lookup(client, Target(STREAM, "stream"), sleep=pauses.append)
    client.close()


def store(fake: FakeBulk, *ids: str) -> None:
    lines = [
        line for each in ids for line in (b'{"create":{"_id":"%b"}}' % each.encode(), b'{"@timestamp":1}')
    ]
    fake.store.bulk(lines, STREAM)


def test_without_a_stream_all_are_missing(lookup: Lookup) -> None:
    assert lookup.missing(["a", "b"]) == [0, 1]


def test_ids_are_found_in_every_backing_index(fake: FakeBulk, lookup: Lookup) -> None:
    store(fake, "a")
    fake.store.roll_over(STREAM)
    store(fake, "b")
    fake.store.roll_over(STREAM)
    assert lookup.missing(["x", "a", "y", "b"]) == [0, 2]


def test_the_newest_index_is_asked_first_and_the_rest_only_if_need_be(fake: FakeBulk, lookup: Lookup) -> None:
    store(fake, "a")
    fake.store.roll_over(STREAM)
    store(fake, "b")
    assert lookup.missing(["b"]) == []
    assert fake.requests["_mget"] == 1
    assert lookup.missing(["a", "b"]) == []
    assert fake.requests["_mget"] == 3


def test_many_ids_are_asked_for_in_portions(fake: FakeBulk, lookup: Lookup) -> None:
    store(fake, "id-0", f"id-{PORTION}")
    missing = lookup.missing([f"id-{number}" for number in range(2 * PORTION + 1)])
    assert missing == [place for place in range(2 * PORTION + 1) if place not in (0, PORTION)]
    assert fake.requests["_mget"] == 3


def test_the_server_may_settle_first_but_only_after_a_disturbance(
    fake: FakeBulk, lookup: Lookup, pauses: list[float]
) -> None:
    store(fake, "a")
    lookup.missing(["a"])
    lookup.missing(["a"])
    assert pauses == [SETTLE_SECONDS]
    lookup.disturb()
    lookup.missing(["a"])
    assert pauses == [SETTLE_SECONDS] * 2


def test_what_is_stored_while_the_server_settles_is_found(fake: FakeBulk) -> None:
    store(fake, "a")

    def settle(_: float) -> None:
        fake.store.roll_over(STREAM)
        store(fake, "late")

    client = HttpClient([Address("127.0.0.1", fake.port)])
    assert Lookup(client, Target(STREAM, "stream"), sleep=settle).missing(["late", "a"]) == []
    client.close()


def test_no_pause_begins_before_the_server_answers(pauses: list[float]) -> None:
    lookup = Lookup(HttpClient([Address("127.0.0.1", 1)]), Target(STREAM, "stream"), sleep=pauses.append)
    with pytest.raises(SinkUnavailable, match="cannot connect"):
        lookup.missing(["a"])
    assert pauses == []


def test_a_prefix_stands_before_every_path(fake: FakeBulk) -> None:
    client = HttpClient([Address("127.0.0.1", fake.port)])
    lookup = Lookup(client, Target(STREAM, "stream", "/es"), sleep=lambda _: None)
    assert lookup.missing(["a"]) == [0]  # the fake knows no prefix: 404, as for a stream that is not there
    assert fake.requests["_mget"] == 0
    client.close()


def test_who_may_not_look_is_told_what_to_do(fake: FakeBulk, lookup: Lookup) -> None:
    fake.credentials = "Basic secret"
    with pytest.raises(SinkUnavailable, match=r"does not know who we are \(401\): check user="):
        lookup.missing(["a"])
