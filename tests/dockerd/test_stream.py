"""Events out of the bytes of a stream, however they are cut."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from compose_agent.dockerd import stream as stream_module
from compose_agent.dockerd.answer import Answer
from compose_agent.dockerd.stream import Event, EventStream, parse_event
from compose_agent.errors import EngineGarbage, EngineUnreachable


def raw(action: str = "start", **changes: Any) -> dict[str, Any]:
    return {
        "Type": "container",
        "Action": action,
        "Actor": {"ID": "a1", "Attributes": {"name": "web"}},
        "time": 5,
        "timeNano": 5_000_000_007,
        **changes,
    }


def line(action: str = "start", **changes: Any) -> bytes:
    return json.dumps(raw(action, **changes)).encode() + b"\n"


class Told:
    """The part of an answer that a stream uses, without a connection."""

    def __init__(self, *chunks: bytes | Exception) -> None:
        self._chunks = chunks
        self.closed = False

    def endless(self) -> None:
        pass

    def chunks(self) -> Iterator[bytes]:
        for each in self._chunks:
            if isinstance(each, Exception):
                raise each
            yield each

    def abort(self) -> None:
        self.closed = True


def stream(*chunks: bytes | Exception) -> EventStream:
    return EventStream(cast("Answer", Told(*chunks)))


@pytest.mark.parametrize(
    ("action", "word", "detail"),
    [
        ("start", "start", ""),
        ("health_status: healthy", "health_status", "healthy"),
        ("health_status: unhealthy: with: colons", "health_status", "unhealthy: with: colons"),
        ("exec_create: sh -c 'echo: x'", "exec_create", "sh -c 'echo: x'"),
        ("health_status", "health_status", ""),
    ],
)
def test_an_action_is_the_word_before_the_colon(action: str, word: str, detail: str) -> None:
    assert parse_event(line(action)) == Event(word, "a1", 5_000_000_007, {"name": "web"}, detail)


@pytest.mark.parametrize("kind", ["image", "network", "volume", "daemon", "", None])
def test_events_of_other_things_are_none(kind: str | None) -> None:
    assert parse_event(line(Type=kind)) is None


@pytest.mark.parametrize(
    ("changes", "time_ns"),
    [({}, 5_000_000_007), ({"timeNano": None}, 5_000_000_000), ({"timeNano": 0, "time": 9}, 9_000_000_000)],
)
def test_the_time_is_in_nanoseconds(changes: dict[str, Any], time_ns: int) -> None:
    event = parse_event(line(**changes))
    assert event is not None
    assert event.time_ns == time_ns


def test_attributes_may_be_missing() -> None:
    event = parse_event(line(Actor={"ID": "a1", "Attributes": None}))
    assert event is not None
    assert event.attributes == {}


@pytest.mark.parametrize(
    "garbage",
    [
        b"nonsense",
        b"[1]",
        b"5",
        b"null",
        b"\xff\xfe",
        b'{"Type":"container"}',
        line(Actor=None).strip(),
        line(Actor={}).strip(),
        line(timeNano="soon").strip(),
        line(timeNano=1e999).strip(),
        line(Actor={"ID": "a", "Attributes": [1]}).strip(),
        b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_garbage(garbage: bytes) -> None:
    with pytest.raises(EngineGarbage, match="not an event"):
        list(stream(garbage + b"\n"))


@pytest.mark.parametrize("size", [1, 2, 7, 100, 10_000])
def test_lines_come_whole_however_they_were_cut(size: int) -> None:
    data = b"".join(line(action) for action in ("create", "start", "die")) + b"\n\r\n" + line("destroy")
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert [each.action for each in stream(*chunks)] == ["create", "start", "die", "destroy"]


def test_half_a_line_at_the_end_is_dropped() -> None:
    assert [each.action for each in stream(line("start"), line("die")[:-5])] == ["start"]


def test_an_event_with_64_kib_labels_is_taken() -> None:
    labels = {f"label{n}": "x" * 65536 for n in range(10)}
    data = line(Actor={"ID": "a1", "Attributes": labels})
    (event,) = stream(data[:300_000], data[300_000:])
    assert event.attributes == labels


def test_a_line_without_end_is_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "MAX_EVENT_BYTES", 1000)
    taken = stream(*[b"x" * 400] * 3, AssertionError("read on"))
    with pytest.raises(EngineGarbage, match="an event of more than 1000 bytes"):
        list(taken)


def test_a_connection_that_breaks_is_unreachable() -> None:
    broken = stream(line(), ConnectionError("cut"))
    with pytest.raises(EngineUnreachable, match=r"the event stream broke \(cut\)"):
        list(broken)


def test_a_connection_that_breaks_because_it_was_closed_is_the_end() -> None:
    closed = stream(line(), ConnectionError("cut"))
    events = iter(closed)
    next(events)
    closed.close()
    assert list(events) == []
