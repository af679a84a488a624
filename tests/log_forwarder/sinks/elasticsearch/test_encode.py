from __future__ import annotations

import json
from typing import Any

import pytest

from compose_agent.dockerd.model import Container
from log_forwarder.event import Event
from log_forwarder.sinks.elasticsearch.encode import Encoder, de_dotted, image_parts
from log_forwarder.sinks.elasticsearch.naming import IndexNames
from log_forwarder.sinks.elasticsearch.options import Target
from tests.log_forwarder.sinks.elasticsearch.build import STREAM, WEB, batch

TIME = "2026-11-22T10:00:00.123456789Z"


def lines_of(event: Event, container: Container = WEB, target: Target | None = None) -> tuple[Any, Any]:
    encoder = Encoder(target or Target(STREAM, "stream"), "node-1")
    (entry,) = encoder.encode(batch([event], container=container))
    action, document, end = entry.data.split(b"\n")
    assert end == b""
    return json.loads(action), json.loads(document)


def document_of(event: Event, container: Container = WEB, target: Target | None = None) -> Any:
    return lines_of(event, container, target)[1]


def test_a_line_becomes_an_ecs_document() -> None:
    container = Container(
        "c1",
        "shop-web-2",
        "reg:5000/nginx:1.27",
        "",
        "running",
        labels={**WEB.labels, "compose-agent.logs.tags": "a, b,"},
    )
    action, document = lines_of(Event("GET /", "stderr", TIME, {"env.x": "1"}, "id-1"), container)
    assert action == {"create": {"_id": "id-1"}}
    assert document == {
        "@timestamp": TIME,
        "message": "GET /",
        "log": {"iostream": "stderr"},
        "event": {"id": "id-1", "dataset": "docker"},
        "container": {
            "id": "c1",
            "name": "shop-web-2",
            "image": {"name": "reg:5000/nginx", "tag": ["1.27"]},
            "labels": {
                "com_docker_compose_project": "shop",
                "com_docker_compose_service": "web",
                "com_docker_compose_container-number": "2",
                "compose-agent_logs_tags": "a, b,",
            },
            "attrs": {"env_x": "1"},
        },
        "service": {"name": "web"},
        "host": {"name": "node-1"},
        "compose": {"project": "shop", "service": "web", "number": "2"},
        "data_stream": {"type": "logs", "dataset": "docker", "namespace": "default"},
        "tags": ["a", "b"],
    }


def test_a_bare_container_has_no_empty_members() -> None:
    document = document_of(
        Event("x", "stdout", TIME, id="1"), Container("c", "n", "", "", "running"), Target("docker", "index")
    )
    assert document == {
        "@timestamp": TIME,
        "message": "x",
        "log": {"iostream": "stdout"},
        "event": {"id": "1"},
        "container": {"id": "c", "name": "n"},
        "host": {"name": "node-1"},
    }


@pytest.mark.parametrize("text", ["", '"\\\n\t\0', "100 % %b %s %%", "ünï ☃ 𝄞", "</script>", "x" * 100_000])
def test_a_message_is_what_was_written(text: str) -> None:
    assert document_of(Event(text, "stdout", TIME, id="1"))["message"] == text


def test_labels_and_attrs_may_have_percent_signs() -> None:
    container = Container("c", "n", "i", "", "running", labels={"a": "100%", "%b": "%(x)s"})
    document = document_of(Event("x", "%s", TIME, {"%d": "%"}, "1"), container)
    assert document["container"]["labels"] == {"a": "100%", "%b": "%(x)s"}
    assert document["container"]["attrs"] == {"%d": "%"}
    assert document["log"] == {"iostream": "%s"}


def test_half_a_surrogate_pair_costs_no_line() -> None:
    document = document_of(Event("a\ud800b", "stdout", TIME, id="1", fields={"f": "\udfff"}))
    assert (document["message"], document["f"]) == ("a?b", "?")


def test_attrs_that_change_are_seen() -> None:
    encoder = Encoder(Target(STREAM, "stream"), "h")
    events = [Event("x", "stdout", TIME, attrs, "1") for attrs in ({"a": "1"}, {"a": "2"}, None, {"a": "2"})]
    documents = [json.loads(entry.data.split(b"\n")[1]) for entry in encoder.encode(batch(events))]
    assert [each["container"].get("attrs") for each in documents] == [
        {"a": "1"},
        {"a": "2"},
        None,
        {"a": "2"},
    ]


def test_a_renamed_container_is_encoded_anew() -> None:
    encoder = Encoder(Target(STREAM, "stream"), "h")
    names = []
    for name in ("old", "new"):
        container = Container("c", name, "i", "", "running")
        (entry,) = encoder.encode(batch([Event("x", "stdout", TIME, id="1")], container=container))
        names.append(json.loads(entry.data.split(b"\n")[1])["container"]["name"])
    assert names == ["old", "new"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"level": "warn"}, {"log": {"iostream": "stdout", "level": "warn"}}),
        ({"level": 30}, {"log": {"iostream": "stdout", "level": "30"}}),
        ({"level": None}, {"level": None}),
        ({"trace_id": "t", "span_id": "s"}, {"trace": {"id": "t"}, "span": {"id": "s"}}),
        ({"trace_id": 7}, {"trace_id": 7}),
        ({"user": {"name": "u"}, "n": 1}, {"user": {"name": "u"}, "n": 1}),
        ({"message": "m", "host": "h"}, {"fields": {"message": "m", "host": "h"}}),
        ({"container.id": "x", "@timestamp": 1}, {"fields": {"container.id": "x", "@timestamp": 1}}),
        ({"trace": "x", "log.level": "l"}, {"fields": {"trace": "x", "log.level": "l"}}),
        ({"_id": "x"}, {"fields": {"_id": "x"}}),
        ({"fields": {"a": 1}}, {"fields": {"fields": {"a": 1}}}),
        ({}, {}),
        ({"big": 2**70, "nan": float("nan"), "ok": True}, {"big": 2**70, "nan": None, "ok": True}),
        ({"set": {1}, "other": object}, {"set": [1], "other": "<class 'object'>"}),
    ],
)
def test_fields_are_merged_and_never_overwrite_ours(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    plain = document_of(Event("x", "stdout", TIME, id="1"))
    assert document_of(Event("x", "stdout", TIME, id="1", fields=fields)) == plain | expected


def test_what_is_nested_without_end_is_cut_off() -> None:
    nested: list[Any] = []
    nested.append(nested)
    assert document_of(Event("x", "stdout", TIME, id="1", fields={"deep": nested}))["message"] == "x"


@pytest.mark.parametrize(
    ("time", "index"),
    [
        (TIME, "docker-2026.11.22"),
        ("2027-01-01T00:00:00Z", "docker-2027.01.01"),
        ("", "docker-1970.01.01"),
        ("nonsense", "docker-1970.01.01"),
    ],
)
def test_a_dated_index_has_the_time_of_the_event(time: str, index: str) -> None:
    action, document = lines_of(Event("x", "stdout", time, id="1"), target=Target("docker-%Y.%m.%d", "dated"))
    assert action == {"create": {"_index": index, "_id": "1"}}
    assert "data_stream" not in document


def test_names_follow_the_hour() -> None:
    names = IndexNames("d-%Y.%j.%H")
    times = ("2026-02-01T09:59:59Z", "2026-02-01T10:00:00Z", "2026-02-01T09:00:00Z")
    assert [names.of(time) for time in times] == ["d-2026.032.09", "d-2026.032.10", "d-2026.032.09"]


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("nginx", ("nginx", [])),
        ("nginx:1.27", ("nginx", ["1.27"])),
        ("host:5000/a/b", ("host:5000/a/b", [])),
        ("host:5000/a/b:c", ("host:5000/a/b", ["c"])),
        ("a:1@sha256:00", ("a", ["1"])),
        ("sha256:0011", ("sha256", ["0011"])),
        ("", ("", [])),
    ],
)
def test_an_image_has_a_name_and_a_tag(reference: str, parts: tuple[str, list[str]]) -> None:
    assert image_parts(reference) == parts


def test_dots_in_keys_become_underscores_and_empty_keys_go() -> None:
    assert de_dotted({"a.b.c": "1", "": "2", " ": "3"}) == {"a_b_c": "1"}
