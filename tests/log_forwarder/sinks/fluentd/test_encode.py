from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Any

import msgpack
import pytest
from fluent.sender import EventTime

from compose_agent.dockerd.model import Container
from log_forwarder.event import Event
from log_forwarder.sinks.fluentd import encode, shapes
from log_forwarder.sinks.fluentd.encode import Run, payload_of
from log_forwarder.sinks.fluentd.shapes import Shapes
from log_forwarder.sinks.fluentd.tags import DEFAULT_TAG, TagTemplate
from tests.log_forwarder.sinks.fluentd.samples import (
    ALONE,
    DB,
    HOST,
    RECORD,
    TIME_NS,
    WEB,
    batch,
    entries,
    event,
    message,
    records,
    sink,
)

SINK = sink("fluentd://127.0.0.1")


def _only(events: Sequence[Event], container: Container = WEB) -> list[Any]:
    """Return the entries of the one parcel."""
    (parcel,) = SINK.encode([batch(events, container)])
    return entries(message(parcel)[1])


def test_an_event_is_the_record_of_dockers_own_driver_and_more() -> None:
    time, record = _only([event(7, "hello")])[0]
    assert record == {**RECORD, "log": "hello", "event_id": "0123.00000007"}
    assert time == EventTime.from_unix_nano(TIME_NS)


def test_a_message_is_tag_body_and_options() -> None:
    (parcel,) = SINK.encode([batch([event(1), event(2)])])
    tag, body, option = message(parcel)
    assert (tag, option) == ("docker.shop.web", {"size": 2, "chunk": parcel.id})
    assert isinstance(body, bytes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"log": ""}, {"log": ""}),
        ({"log": "x" * 31}, {"log": "x" * 31}),
        ({"log": "x" * 32}, {"log": "x" * 32}),
        ({"log": "x" * 256}, {"log": "x" * 256}),
        ({"log": "x" * 70_000}, {"log": "x" * 70_000}),
        ({"log": "größe \x00 \U0001f600"}, {"log": "größe \x00 \U0001f600"}),
        ({"log": "torn \ud83d here"}, {"log": "torn ? here"}),
        ({"stream": "stderr"}, {"source": "stderr"}),
        ({"attrs": {"tag": "a"}}, {"attrs": {"tag": "a"}}),
        ({"attrs": {}}, {}),
        ({"attrs": {"tag": "a"}, "fields": {"level": "info"}}, {"attrs": {"tag": "a"}, "level": "info"}),
        ({"fields": {}}, {}),
        ({"fields": {"a": {"b": [1, 2.5, None, True]}}}, {"a": {"b": [1, 2.5, None, True]}}),
        ({"fields": {"log": "x", "source": "x", "event_id": "x", "container_id": "x", "host": "x"}}, {}),
        ({"fields": {"big": 2**64, "small": -(2**63) - 1, "ok": 2**64 - 1}}, None),
        ({"fields": {"torn\ud83d": "\ud83d"}}, {"torn?": "?"}),
    ],
)
def test_what_an_event_carries_is_in_its_record(
    changes: dict[str, Any], expected: dict[str, Any] | None
) -> None:
    if expected is None:
        expected = {"big": str(2**64), "small": str(-(2**63) - 1), "ok": 2**64 - 1}
    own = {"log": "line 3", "event_id": "0123.00000003"}
    assert _only([event(3, **changes)])[0][1] == {**RECORD, **own, **expected}


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 15, 16, 17, 65_524, 65_525, 65_536])
@pytest.mark.parametrize("attrs", [None, {}, {"a": "b"}])
def test_any_number_of_fields_is_merged(count: int, attrs: dict[str, str] | None) -> None:
    fields = {"log": "hidden", **{f"f{n}": n for n in range(count)}}
    own = {**RECORD, "log": "line 1", "event_id": "0123.00000001", **({"attrs": attrs} if attrs else {})}
    assert _only([event(1, fields=fields, attrs=attrs)])[0][1] == {**fields, **own}


def test_fields_named_attrs_stay_unless_the_driver_has_some() -> None:
    found = _only([event(1, fields={"attrs": 1}), event(2, fields={"attrs": 1}, attrs={"a": "b"})])
    assert [record["attrs"] for _, record in found] == [1, {"a": "b"}]


def test_fields_that_are_nested_too_deep_do_not_hold_the_line_up() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    found = [record for _, record in _only([event(1), event(2, fields=deep), event(3)])]
    assert [record["log"] for record in found] == ["line 1", "line 2", "line 3"]
    assert "a" not in found[1]


def test_attributes_that_change_from_line_to_line_stay_with_their_lines() -> None:
    found = _only([event(n, attrs={"n": str(n // 2)}) for n in range(6)] + [event(6)])
    assert [record.get("attrs") for _, record in found] == [{"n": str(n // 2)} for n in range(6)] + [None]


@pytest.mark.parametrize(
    "time",
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05.1Z",
        "2026-01-02T03:04:05.1234+00:00",
        "nonsense",
        "x" * 30,
    ],
)
def test_a_time_of_another_form_spoils_no_other(time: str) -> None:
    found = _only([event(0), event(1, time=time), event(2)])
    assert [record["log"] for _, record in found] == ["line 0", "line 1", "line 2"]
    assert found[0][0] == found[2][0] == EventTime.from_unix_nano(TIME_NS)
    assert found[1][0].data[:4] in ((TIME_NS // 10**9).to_bytes(4, "big"), bytes(4))


def test_each_second_has_its_own_time() -> None:
    found = _only([event(n, time=f"2026-01-02T03:04:{n:02d}.000000001Z") for n in range(10)])
    first = TIME_NS // 10**9 - 5
    assert [time for time, _ in found] == [EventTime(first + n, 1) for n in range(10)]


def test_one_parcel_has_one_tag_and_containers_of_a_tag_share_it_in_order() -> None:
    other_web = Container("d" * 64, "shop-web-2", "nginx:1.27", "sha256:1", "running", labels=WEB.labels)
    parcels = SINK.encode(
        [
            batch([event(1)]),
            batch([event(2)], DB),
            batch([event(3)], other_web),
            batch([event(4)]),
            batch([event(5)], ALONE),
        ]
    )
    found = {message(each)[0]: [record["log"] for record in records(each)] for each in parcels}
    assert found == {
        "docker.shop.web": ["line 1", "line 3", "line 4"],
        "docker.shop.db": ["line 2"],
        "docker.lone_ly": ["line 5"],
    }


def test_a_batch_that_is_too_big_for_a_parcel_is_cut_in_order() -> None:
    events = [event(n, f"{n} " + "x" * 20_000) for n in range(1000)]
    parcels = SINK.encode([batch(events[:700]), batch(events[700:])])
    assert [record["log"] for parcel in parcels for record in records(parcel)] == [
        each.log for each in events
    ]
    assert len({parcel.id for parcel in parcels}) == len(parcels)
    for parcel in parcels:
        assert len(message(parcel)[1]) <= encode.MOST_PAYLOAD_BYTES
        assert message(parcel)[2]["size"] == len(records(parcel))


def test_a_line_that_is_too_big_for_a_parcel_is_cut_as_dockers_driver_cuts_it() -> None:
    line = "".join(f"{n:07d} " for n in range(650_000))
    parcels = SINK.encode([batch([event(1), event(2, line, fields={"level": "info"}), event(3)])])
    found = [record for parcel in parcels for record in records(parcel)]
    pieces = found[1:-1]
    assert (found[0]["log"], found[-1]["log"]) == ("line 1", "line 3")
    assert "".join(record["log"] for record in pieces) == line
    assert [record["partial_ordinal"] for record in pieces] == [str(n) for n in range(1, len(pieces) + 1)]
    assert [record["partial_last"] for record in pieces] == ["false"] * (len(pieces) - 1) + ["true"]
    assert {record["partial_id"] for record in pieces} == {"0123.00000002"}
    assert [record["event_id"] for record in pieces][:2] == ["0123.00000002-1", "0123.00000002-2"]
    assert [record.get("level") for record in pieces][:2] == ["info", None]
    assert max(len(parcel.data) for parcel in parcels) < 6_144_000


def test_the_same_events_have_the_same_chunk_id_and_others_another() -> None:
    def chunk(numbers: Sequence[int], container: Container = WEB, **changes: Any) -> str:
        return SINK.encode([batch([event(n, **changes) for n in numbers], container)])[0].id

    assert chunk([1, 2]) == chunk([1, 2])
    different = [chunk([1, 2]), chunk([2, 1]), chunk([1, 2, 3]), chunk([1]), chunk([1, 2], DB)]
    assert len(set(different)) == len(different)
    assert chunk([1], id="") == chunk([1], id="")
    assert chunk([1], id="") != chunk([2], id="")
    assert len(different[0]) == 24


def test_gzip_is_said_and_changes_neither_events_nor_ids() -> None:
    events = [batch([event(n) for n in range(100)])]
    (plain,) = SINK.encode(events)
    (packed,) = sink("fluentd://127.0.0.1?compress=gzip").encode(events)
    tag, body, option = message(packed)
    assert (tag, gzip.decompress(body)) == tuple(message(plain)[:2])
    assert option == {"size": 100, "chunk": plain.id, "compressed": "gzip"}


def test_a_batch_without_events_makes_no_parcel() -> None:
    assert SINK.encode([batch([])]) == []


@pytest.mark.parametrize("count", [1, 3, 4, 15, 16, 20_000])
def test_any_number_of_events_is_packed(count: int) -> None:
    run = Run(Shapes(TagTemplate.parse("a"), HOST).of(WEB), [event(n) for n in range(count)])
    assert len(entries(bytes(payload_of([run])))) == count


def test_a_container_that_changes_is_seen_at_once() -> None:
    SINK.encode([batch([event(1)])])
    renamed = Container(WEB.id, "new", "nginx:1.27", "sha256:1", "running")
    (parcel,) = SINK.encode([batch([event(2)], renamed)])
    assert (message(parcel)[0], records(parcel)[0]["container_name"]) == ("docker.new", "/new")


def test_what_is_kept_of_containers_does_not_grow_for_ever() -> None:
    kept = Shapes(TagTemplate.parse(DEFAULT_TAG), HOST)
    for number in range(2 * shapes.MOST_SHAPES):
        kept.of(Container(f"{number:064x}", f"run-{number}", "busybox", "sha256:1", "running"))
    assert len(kept) == shapes.MOST_SHAPES


def test_the_time_in_a_chunk_is_eight_bytes_behind_its_mark() -> None:
    (parcel,) = SINK.encode([batch([event(1)])])
    assert message(parcel)[1].startswith(b"\x92" + msgpack.packb(EventTime.from_unix_nano(TIME_NS)))
