from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from log_forwarder import sinks
from log_forwarder.fake.bulk import FakeBulk
from log_forwarder.fake.bulk_store import Document
from log_forwarder.sinks.contract import Answer, RequestSink, RequestTooLarge, SinkUnavailable
from log_forwarder.sinks.elasticsearch import SINK
from log_forwarder.sinks.elasticsearch.options import options_of
from log_forwarder.sinks.elasticsearch.sink import ElasticsearchSink, bulk_path
from tests.log_forwarder.sinks.elasticsearch.build import (
    STREAM,
    batch,
    batches,
    context,
    delivery,
    event,
    sink_for,
    wait_for,
    word,
)


@pytest.fixture
def fake() -> Iterator[FakeBulk]:
    with FakeBulk() as started:
        yield started


@pytest.fixture
def sink(fake: FakeBulk) -> Iterator[ElasticsearchSink]:
    made = sink_for(f"elasticsearch://127.0.0.1:{fake.port}")
    yield made
    made.close()


def is_bad(document: Document) -> bool:
    return bool(document["message"] == "bad")


def test_it_is_registered_and_is_a_request_sink() -> None:
    assert SINK in sinks.registered()
    made = sinks.make_sink(sinks.parse("elasticsearch://h:9200/logs-a-b?pipeline=p"), context())
    assert isinstance(made, RequestSink)
    made.close()


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no option 'pipelin', did you mean 'pipeline'"):
        sinks.make_sink(sinks.parse("elasticsearch://h?pipelin=p"), context())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("elasticsearch://h", "/logs-docker-default/_bulk?"),
        ("elasticsearch://h/a/b/logs-x-y", "/a/b/logs-x-y/_bulk?"),
        ("elasticsearch://h/docker-%Y", "/_bulk?"),
    ],
)
def test_the_request_goes_to_the_target(text: str, path: str) -> None:
    assert bulk_path(options_of(word(text))).startswith(path)


def test_a_pipeline_is_named_in_the_request() -> None:
    assert bulk_path(options_of(word("elasticsearch://h?pipeline=a%26b"))).endswith("&pipeline=a%26b")


@pytest.mark.parametrize("options", ["", "?compress=none", "?stream=false"])
def test_documents_are_stored(fake: FakeBulk, options: str) -> None:
    sink = sink_for(f"elasticsearch://127.0.0.1:{fake.port}/{STREAM}{options}")
    assert sink.send(sink.encode(batch(map(event, range(3)))), again=False) == Answer({}, [])
    assert [each["message"] for each in fake.store.documents(STREAM)] == ["line 0", "line 1", "line 2"]
    sink.close()


def test_events_go_to_the_index_of_their_day(fake: FakeBulk) -> None:
    sink = sink_for(f"elasticsearch://127.0.0.1:{fake.port}/docker-%Y.%m.%d")
    sink.send(sink.encode(batch([event(1)])), again=True)
    sink.send(sink.encode(batch([event(1)])), again=True)
    assert fake.store.ids("docker-2026.11.22") == ["id-1"]
    assert fake.requests == {"_bulk": 2}
    sink.close()


def test_items_are_answered_by_their_place_among_all_entries(fake: FakeBulk, sink: ElasticsearchSink) -> None:
    sink.send(sink.encode(batch([event(0), event(2)])), again=False)
    fake.store.roll_over(STREAM)
    fake.faults.poison = is_bad
    entries = sink.encode(batch([event(0), event(1), event(2), event(3, "bad")]))
    answer = sink.send(entries, again=True)
    assert answer.rejected == {3: "mapper_parsing_exception: failed to parse field [poison]"}
    assert sorted(fake.store.ids(STREAM)) == ["id-0", "id-1", "id-2"]


def test_what_is_all_stored_is_not_sent_again(fake: FakeBulk, sink: ElasticsearchSink) -> None:
    entries = sink.encode(batch(map(event, range(3))))
    sink.send(entries, again=False)
    assert sink.send(entries, again=True) == Answer()
    assert fake.requests["_bulk"] == 1


@pytest.mark.parametrize(
    ("status", "unseen", "pause"), [(429, False, "7"), (502, True, "0"), (503, True, "2"), (504, True, "0")]
)
def test_a_busy_server_is_left_alone(fake: FakeBulk, status: int, unseen: bool, pause: str) -> None:
    sink = sink_for(f"elasticsearch://127.0.0.1:{fake.port}")
    fake.faults.statuses = [(status, {"Retry-After": pause})]
    with pytest.raises(SinkUnavailable) as caught:
        sink.send(sink.encode(batch([event(1)])), again=False)
    assert (caught.value.unseen, caught.value.retry_after) == (unseen, float(pause))
    sink.close()


def test_a_request_too_large_says_so(fake: FakeBulk, sink: ElasticsearchSink) -> None:
    fake.faults.most_bytes = 10
    with pytest.raises(RequestTooLarge, match=r"takes no request of this size \(413\)"):
        sink.send(sink.encode(batch([event(1)])), again=False)


@pytest.mark.parametrize("fault", ["hang", "late_seconds"])
def test_a_server_that_is_silent_is_given_up(fake: FakeBulk, fault: str) -> None:
    sink = sink_for(f"elasticsearch://127.0.0.1:{fake.port}", answer=0.3)
    setattr(fake.faults, fault, 1)
    with pytest.raises(SinkUnavailable, match=r"no answer from .* \(timed out\)") as caught:
        sink.send(sink.encode(batch([event(1)])), again=False)
    assert caught.value.unseen
    sink.close()


def test_a_failure_of_an_item_leaves_it_in_doubt(fake: FakeBulk, sink: ElasticsearchSink) -> None:
    entries = sink.encode(batch([event(1)]))
    sink._in_doubt = True  # as after an item's 503
    sink.send(entries, again=False)
    assert fake.requests[STREAM] > 0
    sink.send(entries, again=False)
    assert fake.requests["_bulk"] == 2


def test_one_bad_document_and_busy_items_make_one_dead_letter(fake: FakeBulk, tmp_path: Path) -> None:
    fake.faults.busy_percent = 30.0
    fake.faults.poison = is_bad
    events = [event(number, "bad" if number == 500 else None) for number in range(1000)]
    with delivery(sink_for(f"elasticsearch://127.0.0.1:{fake.port}"), tmp_path) as running:
        running.put(batch(events))
        running.finish()
    assert fake.counts()["documents"] == fake.counts()["ids"] == 999
    assert [letter["event"]["id"] for letter in running.dead()] == ["id-500"]
    tally = running.outbox.tally()
    assert (tally.sent, tally.dead_lettered, tally.held) == (999, 1, 0)


def test_answers_lost_across_roll_overs_make_no_duplicates(fake: FakeBulk, tmp_path: Path) -> None:
    with delivery(sink_for(f"elasticsearch://127.0.0.1:{fake.port}"), tmp_path) as running:
        for number, each in enumerate(batches(2000, 200)):
            if number % 3 == 1:
                fake.faults.drop = 1
            running.put(each)
            if number % 3 == 1:
                wait_for(lambda: fake.faults.drop == 0)
                fake.store.roll_over(STREAM)
        running.finish()
    assert len(fake.store.streams[STREAM]) == 4
    assert Counter(fake.store.ids(STREAM)) == Counter(f"id-{number}" for number in range(2000))
    assert running.outbox.tally().sent == 2000


def test_a_batch_of_an_earlier_life_is_looked_up(fake: FakeBulk, tmp_path: Path) -> None:
    url = f"elasticsearch://127.0.0.1:{fake.port}"
    first = sink_for(url)
    first.send(first.encode(batch(map(event, range(60)))), again=False)
    first.close()
    fake.store.roll_over(STREAM)
    with delivery(sink_for(url), tmp_path) as running:
        running.put(*batches(100, 50, again=True))
        running.finish()
    assert Counter(fake.store.ids(STREAM)) == Counter(f"id-{number}" for number in range(100))


def test_requests_are_halved_until_they_fit(fake: FakeBulk, tmp_path: Path) -> None:
    fake.faults.most_bytes = 20_000
    events = [event(number, "x" * (50_000 if number == 7 else 100)) for number in range(200)]
    with delivery(sink_for(f"elasticsearch://127.0.0.1:{fake.port}?compress=none"), tmp_path) as running:
        running.put(batch(events))
        running.finish()
    assert [letter["event"]["id"] for letter in running.dead()] == ["id-7"]
    assert len(fake.store.ids(STREAM)) == 199
