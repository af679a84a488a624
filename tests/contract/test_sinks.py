"""What every sink promises to the couriers and to whoever writes its word, held over the registry."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compose_agent.dockerd.model import Container
from compose_agent.errors import ConfigError
from compose_agent.web import localclient
from lab.loopback import free_port
from log_forwarder.event import Batch, Event
from log_forwarder.sinks import http, make_sink, parse, registered, wire
from log_forwarder.sinks.contract import (
    RequestSink,
    Sink,
    SinkContext,
    SinkKind,
    SinkUnavailable,
    WindowSink,
)
from log_forwarder.sinks.kafka import sink as kafka
from log_forwarder.sinks.kafka.messages import Messages
from log_forwarder.sinks.word import COMMON_OPTIONS
from tests.descriptors import opened
from tests.log_forwarder.making import START, Owner, container


@dataclass(frozen=True)
class Sample:
    """A word with places for ``{port}`` and ``{folder}``, and how long it may take to find nobody there.

    A sink without a peer has no ``seconds``.
    """

    word: str
    seconds: float | None


# A kind that is added needs a line here, and nothing else in this file.
SAMPLES = {
    "elasticsearch": Sample("elasticsearch://127.0.0.1:{port}?compress=none", http.CONNECT_SECONDS),
    "file": Sample("file://{folder}/events.ndjson", None),
    "fluentd": Sample("fluentd://127.0.0.1:{port}", wire.CONNECT_SECONDS),
    "kafka": Sample("kafka://127.0.0.1:{port}/topic", kafka.CONNECT_SECONDS),
    "logstash": Sample("logstash://127.0.0.1:{port}?compress=none", wire.CONNECT_SECONDS),
    "loki": Sample("loki://127.0.0.1:{port}", http.CONNECT_SECONDS),
    "otlp": Sample("otlp://127.0.0.1:{port}", http.CONNECT_SECONDS),
    "remediation": Sample("remediation://{folder}/remediation.sock", localclient.TIMEOUT_SECONDS),
    "stdout": Sample("stdout://", None),
}
KINDS = registered()
NAMES = [kind.name for kind in KINDS]
# On top of the deadline, for a machine that is busy with something else.
SLACK_SECONDS = 15.0
_OPTION = re.compile(r"[a-z]+(-[a-z]+)*")
_MARK = re.compile(rb"<[0-9]{5}>")
# For sinks that take only lines with a pattern.
TRIGGERS = {"mark": re.compile("<[0-9]{5}>")}
BEGINNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

OTHER = container("ef" * 32, "other-1")
ODD = [
    Event("", "stdout", "2026-01-02T03:04:05.000000001Z"),
    Event("\ud800 \0 \x7f \u2028", "stderr", "2026-01-02T03:04:05Z"),
    Event("no time", "stdout", "yesterday"),
    Event("no stream", "", ""),
    Event("attributes", "stdout", "2026-01-02T03:04:05Z", {"tag": "x", "\udfff": "\ud800"}),
    Event(
        "fields",
        "stdout",
        "2026-01-02T03:04:05Z",
        fields={
            "level": 7,
            "trace_id": None,
            "message": "mine",
            "log": {"a": [1, 2**70, 1.5, float("nan"), None, True]},
            "\ud800": {"": object()},
        },
    ),
    Event("x" * 3 * 2**20, "stdout", "2026-01-02T03:04:05Z"),
]


def made(word: str, folder: Path, port: int = 1) -> Sink:
    text = word.format(port=port, folder=folder)
    return make_sink(parse(text), SinkContext(text, "host-1", folder, folder, TRIGGERS))


@pytest.fixture(params=NAMES)
def sample(request: pytest.FixtureRequest) -> Sample:
    assert request.param in SAMPLES, f"a word for {request.param} is missing in this file"
    return SAMPLES[request.param]


@pytest.fixture
def sink(sample: Sample, tmp_path: Path) -> Iterator[Sink]:
    result = made(sample.word, tmp_path)
    yield result
    result.close()


def batch(events: Sequence[Event], of: Container | None = None) -> Batch:
    return Batch(of or container(), list(events), 100, START, Owner())


def marked(start: int, end: int) -> list[Event]:
    return [Event(f"<{n:05d}>", "stdout", moment(n), id=f"ab.1.{n:010x}") for n in range(start, end)]


def moment(seconds: int) -> str:
    return f"{BEGINNING + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{seconds:09d}Z"


def bytes_of(sink: Sink, batches: Sequence[Batch]) -> bytes:
    """Return what a sink would send, in order."""
    if isinstance(sink, RequestSink):
        return b"".join(entry.data for each in batches for entry in sink.encode(each))
    parcels = sink.encode(batches)
    assert len({parcel.id for parcel in parcels}) == len(parcels)
    return b"".join(
        b"".join(message.value for message in parcel.messages)
        if isinstance(parcel, Messages)
        else parcel.data
        for parcel in parcels
    )


def reach(sink: Sink) -> None:
    """Do what shows first whether the peer is there."""
    if isinstance(sink, RequestSink):
        sink.send(sink.encode(batch(marked(0, 3))), again=False)
    else:
        sink.connect()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_and_its_options_are_described_in_a_sentence(kind: SinkKind) -> None:
    assert kind.help
    assert kind.help.splitlines() == [kind.help]
    assert not set(kind.options) & set(COMMON_OPTIONS)
    for name, text in kind.options.items():
        assert _OPTION.fullmatch(name), name
        assert text.splitlines() == [text.strip()], name
        assert text.endswith("."), name
        assert "|" not in text, name  # it stands in a table


def test_a_sink_is_one_of_the_two_kinds_and_has_bounds(sink: Sink) -> None:
    assert isinstance(sink, RequestSink) != isinstance(sink, WindowSink)
    assert sink.most_bytes > 0
    if isinstance(sink, RequestSink):
        assert sink.most_events > 0
    else:
        assert sink.window > 0
        assert sink.answer_seconds > 0
        assert sink.trouble == ""


def test_making_a_sink_connects_to_nobody_and_opens_nothing(sample: Sample, tmp_path: Path) -> None:
    made(sample.word, tmp_path).close()  # libraries that are imported here open files of their own
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        before = set(opened())
        result = made(sample.word, tmp_path, listener.getsockname()[1])
        assert set(opened()) <= before  # something of another test may only just be ending
        with pytest.raises(BlockingIOError):
            listener.accept()
        result.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_an_unknown_option_is_refused_with_the_nearest_name(kind: SinkKind, tmp_path: Path) -> None:
    word = SAMPLES[kind.name].word
    separator = "&" if "?" in word else "?"
    for name in [*kind.options, *COMMON_OPTIONS]:
        with pytest.raises(ConfigError, match=f"there is no option '{name}x', did you mean '{name}'"):
            made(f"{word}{separator}{name}x=1", tmp_path)


def test_a_peer_that_is_not_there_is_unavailable_within_the_deadline(sample: Sample, tmp_path: Path) -> None:
    if sample.seconds is None:
        return
    result = made(sample.word, tmp_path, free_port())
    begin = time.monotonic()
    with pytest.raises(SinkUnavailable) as failed:
        reach(result)
    assert time.monotonic() - begin < sample.seconds + SLACK_SECONDS
    assert not failed.value.unseen
    assert failed.value.remedy
    result.close()


def test_a_window_sink_that_is_not_connected_says_so(sink: Sink) -> None:
    if isinstance(sink, RequestSink):
        return
    with pytest.raises(SinkUnavailable):
        sink.confirmed(0)


def test_closing_twice_is_closing(sink: Sink) -> None:
    sink.close()
    sink.close()


def test_every_event_is_encoded_once_and_in_order(sink: Sink) -> None:
    batches = [batch(marked(at, at + 500)) for at in range(0, 3000, 500)]
    found = _MARK.findall(bytes_of(sink, batches))
    assert found == [f"<{n:05d}>".encode() for n in range(3000)]


def test_events_of_several_containers_keep_the_order_of_each(sink: Sink) -> None:
    batches = [
        batch(marked(0, 100)),
        batch(marked(10_000, 10_100), OTHER),
        batch(marked(100, 200)),
        batch(marked(10_100, 10_200), OTHER),
    ]
    found = [int(mark[1:-1]) for mark in _MARK.findall(bytes_of(sink, batches))]
    assert sorted(found) == [*range(200), *range(10_000, 10_200)]
    for of in (range(200), range(10_000, 10_200)):
        assert [number for number in found if number in of] == list(of)


def test_an_entry_knows_its_batch_and_its_event(sink: Sink) -> None:
    if not isinstance(sink, RequestSink):
        return
    given = batch(marked(0, 50))
    entries = sink.encode(given)
    assert [entry.event for entry in entries] == given.events
    assert all(entry.batch is given for entry in entries)


def test_nothing_is_encoded_as_nothing(sink: Sink) -> None:
    empty = batch([])
    assert (sink.encode(empty) if isinstance(sink, RequestSink) else sink.encode([empty])) == []


@pytest.mark.parametrize("odd", ODD, ids=lambda event: event.log[:12] or "empty")
def test_odd_events_are_encoded_among_others(sink: Sink, odd: Event) -> None:
    around = marked(0, 2)
    data = bytes_of(sink, [batch([around[0], odd, around[1]])])
    assert _MARK.findall(data) == [b"<00000>", b"<00001>"]
