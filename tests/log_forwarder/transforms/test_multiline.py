from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.event import Event
from log_forwarder.transforms.marks import mark_of
from log_forwarder.transforms.multiline import (
    LONGEST_SECONDS,
    MOST_CHARACTERS,
    MOST_LINES,
    Multiline,
    Rules,
    StartPattern,
)
from log_forwarder.transforms.patterns import regex
from log_forwarder.transforms.stacktraces import LANGUAGES
from tests.log_forwarder.transforms.building import event, events, number_of, pipeline

RULES: dict[str, Rules] = {**LANGUAGES, "pattern": StartPattern(regex.parse(r"^\d"))}
# Of each kind that the rules tell apart, so that random sequences of them meet every move.
LINES = (
    "1 begins",
    "plain text",
    "",
    "  indented",
    "Traceback (most recent call last):",
    '  File "app.py", line 1, in <module>',
    "ValueError: boom",
    "During handling of the above exception, another exception occurred:",
    "java.lang.IllegalStateException: boom",
    "\tat shop.Order.ship(Order.java:3)",
    "Caused by: java.io.IOException: gone",
    "panic: boom",
    "goroutine 1 [running]:",
    "main.main()",
    "\t/src/main.go:3 +0x1d",
    "app.rb:3:in `ship': boom (RuntimeError)",
    "\tfrom app.rb:9:in `<main>'",
    "/app/index.js:3",
    "Error: boom",
    "    at ship (/app/index.js:3:7) {",
    "}",
    "Node.js v20.1.0",
)


def multiline(name: str, timeout: float = 1.0) -> Multiline:
    return Multiline(RULES[name], timeout, monotonic=lambda: 100.0)


def texts(found: Sequence[Event]) -> list[str]:
    return [each.log for each in found]


def all_of(transform: Multiline, batches: Sequence[list[Event]]) -> list[Event]:
    out = [found for batch in batches for found in transform(batch)]
    return out + transform.due(0.0, everything=True)


def shape(found: Sequence[Event]) -> dict[str, list[tuple[str, str, str]]]:
    """Return what came out of each stream, in order."""
    streams: dict[str, list[tuple[str, str, str]]] = {}
    for each in found:
        streams.setdefault(each.stream, []).append((each.id, each.time, each.log))
    return streams


def test_a_start_pattern_merges_up_to_the_next_line_that_matches() -> None:
    given = events(["before", "1 a", "b", "c", "2 d"])
    found = all_of(multiline("pattern"), [given])
    assert texts(found) == ["before", "1 a\nb\nc", "2 d"]


def test_a_merged_event_has_id_time_and_stream_of_its_first_line() -> None:
    given = events(["1 a", "b"])
    (found,) = all_of(multiline("pattern"), [copy.deepcopy(given)])
    assert (found.id, found.time, found.stream) == (given[0].id, given[0].time, "stdout")


def test_streams_are_merged_each_on_its_own() -> None:
    given = [event("1 a", 0), event("1 x", 1, "stderr"), event("b", 2), event("y", 3, "stderr")]
    assert sorted(texts(all_of(multiline("pattern"), [given]))) == ["1 a\nb", "1 x\ny"]


def test_held_tells_where_the_open_lines_begin() -> None:
    transform = multiline("pattern")
    given = [event("1 a", 5), event("1 x", 6, "stderr"), event("b", 7)]
    assert transform(given) == []
    assert dict(transform.held()) == {"stdout": mark_of(given[0].id), "stderr": mark_of(given[1].id)}


def test_lines_are_held_until_the_timeout_has_passed() -> None:
    transform = multiline("pattern", timeout=1.0)
    transform(events(["1 a", "b"]))
    assert transform.due(100.9) == []
    assert texts(transform.due(102.0)) == ["1 a\nb"]
    assert transform.held() == ()
    assert transform.due(200.0, everything=True) == []


def test_a_pause_in_dockers_times_ends_a_group() -> None:
    given = [event("1 a", 0, at=1.0), event("b", 1, at=1.9), event("late", 2, at=3.0)]
    assert texts(all_of(multiline("pattern"), [given])) == ["1 a\nb", "late"]


def test_a_group_has_bounds_in_lines_characters_and_time() -> None:
    many = all_of(multiline("pattern"), [events(["1 a", *["b"] * MOST_LINES])])
    assert [each.log.count("\n") + 1 for each in many] == [MOST_LINES, 1]
    large = all_of(multiline("pattern"), [events(["1 a", "x" * (MOST_CHARACTERS - 100), "y" * 200])])
    assert [len(each.log) for each in large] == [MOST_CHARACTERS - 100 + 4, 200]
    steady = [event("b", number, at=number * 0.9) for number in range(20)]
    slow = all_of(multiline("pattern"), [steady])
    assert [each.log.count("\n") * 0.9 <= LONGEST_SECONDS for each in slow] == [True, True]


def test_a_line_that_is_no_trace_is_not_held() -> None:
    for name in LANGUAGES:
        assert texts(multiline(name)(events(["GET / 200"]))) == ["GET / 200"]


sequences = st.lists(
    st.tuples(st.sampled_from(LINES), st.booleans(), st.sampled_from([0.0, 0.4, 1.5])), max_size=40
)


def given_events(drawn: Sequence[tuple[str, bool, float]]) -> list[Event]:
    at, found = 0.0, []
    for number, (line, other, pause) in enumerate(drawn):
        at += pause
        found.append(event(line, number, "stderr" if other else "stdout", at=at))
    return found


@pytest.mark.parametrize("name", RULES)
@given(drawn=sequences, cuts=st.lists(st.integers(0, 40)))
def test_the_result_does_not_depend_on_how_lines_are_cut_into_batches(
    name: str, drawn: list[tuple[str, bool, float]], cuts: list[int]
) -> None:
    whole = all_of(multiline(name), [given_events(drawn)])
    at = [0, *sorted(cut for cut in cuts if cut < len(drawn)), len(drawn)]
    lines = given_events(drawn)
    parts = [lines[begin:end] for begin, end in pairwise(at)]
    assert shape(all_of(multiline(name), parts)) == shape(whole)


@pytest.mark.parametrize("name", RULES)
@given(drawn=sequences, stop=st.integers(0, 40))
def test_a_restart_in_the_middle_of_a_group_yields_the_same_groups(
    name: str, drawn: list[tuple[str, bool, float]], stop: int
) -> None:
    whole = shape(all_of(multiline(name), [given_events(drawn)]))
    before = multiline(name)
    shipped = before(given_events(drawn)[:stop])
    held = {stream: number_of(mark.offset) for stream, mark in before.held()}
    again = [
        each
        for number, each in enumerate(given_events(drawn))
        if number >= stop or number >= held.get(each.stream, stop)
    ]
    after = all_of(multiline(name), [again])
    assert shape([*shipped, *after]) == whole


@pytest.mark.parametrize("name", RULES)
@given(drawn=sequences)
def test_no_line_is_lost_and_their_order_is_kept(name: str, drawn: list[tuple[str, bool, float]]) -> None:
    found = all_of(multiline(name), [given_events(drawn)])
    for stream, other in (("stdout", False), ("stderr", True)):
        lines = [line for each in found if each.stream == stream for line in each.log.split("\n")]
        assert lines == [line for line, is_other, _ in drawn if is_other is other]


def test_the_pipeline_passes_held_lines_through_the_transforms_behind() -> None:
    found = pipeline(multiline="^1", redact="email")
    assert found.apply(events(["1 a", "mail anna@shop.example"])) == []
    assert [stream for stream, _ in found.held()] == ["stdout"]
    assert texts(found.due(0.0, everything=True)) == ["1 a\nmail [REDACTED:email]"]
    assert found.held() == ()
