"""The sink on a real OpenSearch; one server for all, each test has streams of its own."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.address import Address
from lab.opensearch import OpenSearch
from log_forwarder.event import Event
from log_forwarder.setup import set_up
from log_forwarder.sinks import parse
from log_forwarder.sinks.contract import RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.elasticsearch.lookup import Lookup
from log_forwarder.sinks.elasticsearch.options import Target
from log_forwarder.sinks.elasticsearch.readback import stored_texts
from log_forwarder.sinks.elasticsearch.setup import install_template
from log_forwarder.sinks.elasticsearch.sink import MOST_EVENTS
from log_forwarder.sinks.http import HttpClient
from tests.log_forwarder.sinks.elasticsearch.build import batch, batches, delivery, event, sink_for, wait_for
from tests.log_forwarder.sinks.elasticsearch.proxy import CuttingProxy


@pytest.fixture(scope="module")
def server() -> Iterator[OpenSearch]:
    with OpenSearch() as started:
        started.make_streams()
        yield started


@pytest.fixture
def client(server: OpenSearch) -> Iterator[HttpClient]:
    made = HttpClient([Address("127.0.0.1", server.port)])
    yield made
    made.close()


def url_of(server: OpenSearch, target: str) -> str:
    return f"elasticsearch://127.0.0.1:{server.port}/{target}"


def ids(*ranges: range) -> Counter[str]:
    return Counter(f"id-{number}" for numbers in ranges for number in numbers)


def test_the_template_fits_and_documents_keep_their_nanoseconds(
    server: OpenSearch, client: HttpClient
) -> None:
    stream = "logs-template-default"
    install_template(client, Target(stream, "stream"))
    sink = sink_for(url_of(server, stream))
    fields = {"level": "warn", "trace_id": "t1", "host": "theirs", "_id": "x", "user": {"name": "u"}}
    entries = sink.encode(batch([event(7, "hello", fields=fields, attrs={"a.b": "c"}), event(3)]))
    answer = sink.send(entries, again=False)
    assert (answer.rejected, answer.again) == ({}, [])
    time = {"field": "@timestamp", "format": "strict_date_optional_time_nanos"}
    query = {"sort": ["@timestamp"], "fields": [time]}
    server.call("POST", f"/{stream}/_refresh")
    hits = server.call("POST", f"/{stream}/_search", query)["hits"]["hits"]
    assert [hit["_id"] for hit in hits] == ["id-3", "id-7"]
    assert hits[1]["fields"]["@timestamp"] == ["2026-11-22T10:00:00.000000007Z"]
    assert hits[1]["_source"]["fields"] == {"host": "theirs", "_id": "x"}
    sink.close()


def test_setup_makes_a_stream_of_the_sink_s_target(server: OpenSearch) -> None:
    word = parse(url_of(server, "setup-docker-default"))
    assert len(list(set_up([word], {}))) == 1
    sink = sink_for(word.text)
    sink.send(sink.encode(batch([event(1)])), again=False)
    assert len(server.backing_indices("setup-docker-default")) == 1
    sink.close()


def test_what_is_stored_is_read_back_as_often_as_it_is_there(server: OpenSearch) -> None:
    stream = "logs-back-default"
    word = parse(url_of(server, stream))
    assert list(stored_texts(word, "themarker")) == []
    sink = sink_for(word.text)
    many = [event(number, f"themarker {number} ...") for number in range(6000)]  # more than a page
    for start in (0, 3000):
        sink.send(sink.encode(batch(many[start : start + 3000])), again=False)
    server.rollover(stream)
    sink.send(sink.encode(batch([many[7], event(6001, "othermarker 1 ...")])), again=False)
    found = Counter(stored_texts(word, "themarker"))
    assert found == Counter([each.log for each in many] + [many[7].log])
    assert list(stored_texts(word, "othermarker")) == ["othermarker 1 ..."]
    sink.close()


def test_what_is_in_dated_indices_is_read_back(server: OpenSearch) -> None:
    word = parse(url_of(server, "back-%Y.%m.%d"))
    sink = sink_for(word.text)
    sink.send(sink.encode(batch([event(1, "themarker 1 ...")])), again=False)
    assert list(stored_texts(word, "themarker")) == ["themarker 1 ..."]
    sink.close()


def test_items_are_sorted_as_the_real_server_answers(server: OpenSearch, client: HttpClient) -> None:
    stream = "logs-items-default"
    install_template(client, Target(stream, "stream"))
    sink = sink_for(url_of(server, stream))
    bad = Event("x", "stdout", "no time", id="bad")
    entries = sink.encode(batch([event(1), bad, event(2), event(1)]))
    answer = sink.send(entries, again=False)
    assert list(answer.rejected) == [1]
    assert answer.rejected[1].startswith("mapper_parsing_exception: failed to parse field [@timestamp]")
    assert Counter(server.all_ids(stream)) == ids(range(1, 3))
    sink.close()


def test_a_missing_pipeline_is_no_dead_letter(server: OpenSearch) -> None:
    sink = sink_for(url_of(server, "logs-pipeline-default?pipeline=nowhere"))
    with pytest.raises(SinkUnavailable, match="create the pipeline, or correct the sink's pipeline="):
        sink.send(sink.encode(batch([event(1)])), again=False)
    sink.close()


def test_a_request_spoilt_by_one_document_is_halved(server: OpenSearch, tmp_path: Path) -> None:
    stream = "logs-spoilt-default"
    sink = sink_for(url_of(server, stream))
    too_long = Event("x", "stdout", "2026-11-22T10:00:00Z", id="x" * 600)  # ids have 512 bytes at most
    with pytest.raises(RequestTooLarge, match=r"id .* is too long"):
        sink.send(sink.encode(batch([event(1), too_long])), again=False)
    with delivery(sink, tmp_path) as running:
        running.put(batch([*map(event, range(50)), too_long, *map(event, range(50, 100))]))
        running.finish()
    assert [letter["event"]["id"] for letter in running.dead()] == ["x" * 600]
    assert Counter(server.all_ids(stream)) == ids(range(100))


def test_dated_indices_refuse_what_they_have(server: OpenSearch) -> None:
    sink = sink_for(url_of(server, "docker-%Y.%m.%d"))
    for _ in range(2):
        answer = sink.send(sink.encode(batch(map(event, range(10)))), again=True)
        assert (answer.rejected, answer.again) == ({}, [])
    assert Counter(server.all_ids("docker-2026.11.22")) == ids(range(10))
    sink.close()


def test_without_a_template_the_stream_is_an_index_and_all_the_same_exact(server: OpenSearch) -> None:
    sink = sink_for(url_of(server, "containers"))
    for _ in range(2):
        answer = sink.send(sink.encode(batch(map(event, range(10)))), again=True)
        assert (answer.rejected, answer.again) == ({}, [])
    assert Counter(server.all_ids("containers")) == ids(range(10))
    sink.close()


def test_a_lookup_sees_what_no_search_sees_yet(server: OpenSearch, client: HttpClient) -> None:
    stream = "logs-fresh-default"
    sink = sink_for(url_of(server, stream))
    sink.send(sink.encode(batch(map(event, range(5)))), again=False)
    server.rollover(stream)
    sink.send(sink.encode(batch(map(event, range(5, 10)))), again=False)
    lookup = Lookup(client, Target(stream, "stream"), settle_seconds=0)
    assert lookup.missing([f"id-{number}" for number in range(12)]) == [10, 11]
    sink.close()


def test_answers_lost_while_the_stream_rolls_over_make_no_duplicates(
    server: OpenSearch, tmp_path: Path
) -> None:
    stream = "logs-lost-default"
    with CuttingProxy(server.port, f"/{stream}/_bulk".encode()) as proxy:
        sink = sink_for(f"elasticsearch://127.0.0.1:{proxy.port}/{stream}", settle=0.5)
        with delivery(sink, tmp_path) as running:
            for number, each in enumerate(batches(3000, 300)):
                lost = number % 3 == 1
                proxy.cut_answers += lost
                running.put(each)
                if lost:
                    assert proxy.cut.acquire(timeout=20)
                    server.rollover(stream)
            running.finish()
    assert len(server.backing_indices(stream)) == 4
    assert Counter(server.all_ids(stream)) == ids(range(3000))
    assert running.outbox.tally().sent == 3000
    assert running.dead() == []


def test_a_server_that_is_frozen_and_thawed_stores_once(server: OpenSearch, tmp_path: Path) -> None:
    stream = "logs-frozen-default"
    sink = sink_for(url_of(server, stream), settle=1.0, answer=1.5)
    with delivery(sink, tmp_path) as running:
        running.put(*batches(400, 200))
        wait_for(lambda: running.outbox.tally().sent == 400)
        server.process.freeze()
        running.put(batch(map(event, range(400, 1400))))
        wait_for(lambda: running.courier.health.error != "")
        server.process.thaw()
        server.rollover(stream)
        running.finish()
    assert Counter(server.all_ids(stream)) == ids(range(1400))


def test_a_server_killed_in_its_work_and_started_again_stores_once(
    server: OpenSearch, tmp_path: Path
) -> None:
    stream = "logs-killed-default"
    with delivery(sink_for(url_of(server, stream), settle=0.5), tmp_path) as running:
        feeding = threading.Thread(target=running.put, args=batches(2 * MOST_EVENTS, 200))
        feeding.start()
        wait_for(lambda: running.outbox.tally().sent > 0)
        server.kill()
        server.process.start()
        server.rollover(stream)
        feeding.join()
        running.finish()
    assert Counter(server.all_ids(stream)) == ids(range(2 * MOST_EVENTS))
