"""Which lines become triggers, of which shape, and how often."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from compose_agent.cloudevents import checked
from compose_agent.dockerd.model import Container
from log_forwarder.event import Batch, Event
from log_forwarder.sinks.contract import Entry
from log_forwarder.sinks.remediation import matches
from log_forwarder.sinks.remediation.matches import NO_MATCH, RATE_LIMITED, Matcher, patterns_of
from log_forwarder.transforms.patterns import MOST_CHARACTERS
from tests.log_forwarder.making import ID, START, Owner, container
from tests.log_forwarder.transforms.building import event

OOM = {"oom": re.compile("out of memory")}
LABEL = "compose-agent.logs.trigger."


def batch(events: Sequence[Event], of: Container | None = None) -> Batch:
    return Batch(of or container(), list(events), 100, START, Owner())


def triggers(entry: Entry) -> list[dict[str, Any]]:
    return [checked(line) for line in entry.data.split(b"\n")] if entry.data else []


def one(log: str, of: Container | None = None, **more: Any) -> dict[str, Any]:
    """Return the trigger that a line makes."""
    given = Event(log, "stderr", "2026-01-02T03:04:05.678901234Z", id="0123456789ab.g1.0a", **more)
    (entry,) = Matcher("host-1", {"all": re.compile("(?s).*")}).entries(batch([given], of))
    (found,) = triggers(entry)
    return found


def fates(matcher: Matcher, times: Sequence[float | str], of: Container | None = None) -> list[str]:
    """Return for lines of these times why each is no trigger."""
    events = [event("out of memory", n, at=at) for n, at in enumerate(times) if isinstance(at, float)]
    return [entry.left_out for entry in matcher.entries(batch(events, of))]


def test_a_line_that_matches_is_a_trigger_and_another_is_left_out() -> None:
    lines = [event("fine"), event("out of memory: killed 7", 1)]
    fine, matched = Matcher("host-1", OOM).entries(batch(lines))
    assert (fine.left_out, fine.data) == (NO_MATCH, b"")
    assert matched.left_out == ""
    assert [each["data"]["line"] for each in triggers(matched)] == ["out of memory: killed 7"]


def test_a_trigger_says_where_it_comes_from() -> None:
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    fields = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "level": "error"}
    assert one("out of memory", container(labels=labels), fields=fields) == {
        "specversion": "1.0",
        "id": "0123456789ab.g1.0a/all",
        "source": f"/hosts/host-1/containers/{ID}",
        "type": "io.compose-agent.log.match",
        "time": "2026-01-02T03:04:05.678901234Z",
        "subject": "shop-web-1",
        "datacontenttype": "application/json",
        "data": {
            "pattern": "all",
            "line": "out of memory",
            "container_id": ID,
            "container_name": "shop-web-1",
            "compose_project": "shop",
            "compose_service": "web",
            "stream": "stderr",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "span_id": "00f067aa0ba902b7",
        },
    }


def test_what_is_not_known_is_left_out() -> None:
    found = one("x", container(name=""), fields={"trace_id": None, "span_id": 7})
    assert "subject" not in found
    assert set(found["data"]) == {"pattern", "line", "container_id", "stream"}


@pytest.mark.parametrize("time", ["yesterday", ""])
def test_a_time_that_is_none_is_left_out(time: str) -> None:
    matcher = Matcher("host-1", OOM)
    (entry,) = matcher.entries(batch([Event("out of memory", "stdout", time, id="x.1.0")]))
    (found,) = triggers(entry)
    assert "time" not in found


@pytest.mark.parametrize("log", ["", "\ud800 \0 \x7f \u2028", "two\nlines", "größe"])
def test_odd_lines_are_one_line_of_json(log: str) -> None:
    assert one(log)["data"]["pattern"] == "all"


def test_a_host_name_that_needs_it_is_escaped_in_the_source() -> None:
    (entry,) = Matcher("a b/c", OOM).entries(batch([event("out of memory")]))
    assert triggers(entry)[0]["source"] == f"/hosts/a%20b%2Fc/containers/{ID}"


def test_no_more_of_a_line_is_searched_and_told_than_a_certain_part() -> None:
    far = event("x" * MOST_CHARACTERS + "out of memory")
    near = event("out of memory" + "x" * MOST_CHARACTERS, 1)
    first, second = Matcher("host-1", OOM).entries(batch([far, near]))
    assert first.left_out == NO_MATCH
    assert len(triggers(second)[0]["data"]["line"]) == MOST_CHARACTERS


def test_a_line_that_matches_several_patterns_makes_a_trigger_for_each() -> None:
    two = {**OOM, "killed": re.compile("killed [0-9]+")}
    (entry,) = Matcher("host-1", two).entries(batch([event("out of memory: killed 7")]))
    assert [each["data"]["pattern"] for each in triggers(entry)] == ["oom", "killed"]
    assert len({each["id"] for each in triggers(entry)}) == 2


def test_a_line_that_is_read_again_makes_the_same_trigger() -> None:
    (first,), (again,) = (Matcher("host-1", OOM).entries(batch([event("out of memory")])) for _ in "ab")
    assert first.data == again.data


def test_a_storm_makes_one_trigger_a_second_by_the_times_of_the_lines() -> None:
    found = fates(Matcher("host-1", OOM), [0.0, 0.1, 0.999, 1.0, 1.5, 2.0, 9.0])
    assert found == ["", RATE_LIMITED, RATE_LIMITED, "", RATE_LIMITED, "", ""]


def test_a_clock_that_was_set_back_does_not_silence_a_pattern() -> None:
    assert fates(Matcher("host-1", OOM), [1000.0, 999.5, 10.0, 10.5, 11.0]) == [
        "",
        RATE_LIMITED,
        "",
        RATE_LIMITED,
        "",
    ]


def test_patterns_and_containers_do_not_silence_one_another() -> None:
    matcher = Matcher("host-1", {**OOM, "killed": re.compile("killed")})
    lines = [
        event("out of memory", at=0.0),
        event("killed", 1, at=0.1),
        event("out of memory, killed", 2, at=0.2),
    ]
    assert [each.left_out for each in matcher.entries(batch(lines))] == ["", "", RATE_LIMITED]
    assert fates(matcher, [0.3], container("ef" * 32, "other")) == [""]


def test_a_container_that_changes_keeps_its_pause_and_gets_its_new_labels() -> None:
    matcher = Matcher("host-1", {})
    before = container(labels={f"{LABEL}oom": "out of memory"})
    after = container(labels={f"{LABEL}oom": "memory", f"{LABEL}full": "disk full"})
    assert fates(matcher, [0.0], before) == [""]
    assert fates(matcher, [0.5], after) == [RATE_LIMITED]
    (entry,) = matcher.entries(batch([event("disk full", 9, at=0.6)], after))
    assert [each["data"]["pattern"] for each in triggers(entry)] == ["full"]


def test_what_is_kept_of_containers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matches, "_MOST_CONTAINERS", 3)
    matcher = Matcher("host-1", OOM)
    for number in range(10):
        assert fates(matcher, [0.0], container(f"{number:064x}")) == [""]
    assert len(matcher._watched) <= 3


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, {"oom": "out of memory"}),
        ({"trigger.full": "disk full"}, {"oom": "out of memory", "full": "disk full"}),
        ({"trigger.oom": "OOM"}, {"oom": "OOM"}),
        ({"trigger.oom": "none"}, {}),
        ({"trigger.oom": ""}, {}),
        ({"trigger.oom": "("}, {"oom": "out of memory"}),
        ({"trigger.a b": "x"}, {"oom": "out of memory"}),
        ({"triggers": "x", "parser": "json"}, {"oom": "out of memory"}),
    ],
)
def test_labels_stand_above_the_configuration(labels: dict[str, str], expected: dict[str, str]) -> None:
    box = container(labels={f"compose-agent.logs.{key}": text for key, text in labels.items()})
    assert {name: each.pattern for name, each in patterns_of(box, OOM).items()} == expected


def test_entries_are_json_without_ends_of_lines_in_them() -> None:
    two = {**OOM, "killed": re.compile("killed")}
    (entry,) = Matcher("host-1", two).entries(batch([event("out of memory\r\nkilled\u2028\x85")]))
    assert [json.loads(line)["data"]["pattern"] for line in entry.data.split(b"\n")] == ["oom", "killed"]
