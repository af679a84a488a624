from __future__ import annotations

import dataclasses
import json

import pytest

from log_forwarder.sinks.ndjson import LineEncoder, event_id
from tests.log_forwarder.sinks.lines import CONTAINER, batch, event


def test_a_line_has_the_event_then_its_metadata_then_attributes_and_fields() -> None:
    one = event(7, 'say "hi" <&> \t é')
    one.attrs = {"tag": "a"}
    one.fields = {"level": "info", "event_id": "not this one"}

    [entry] = LineEncoder("host-1").entries(batch([one]))

    assert entry.data.endswith(b"}\n")
    assert list(json.loads(entry.data).items()) == [
        ("time", "2026-01-02T03:04:05.000000007Z"),
        ("log", 'say "hi" <&> \t é'),
        ("source", "stdout"),
        ("event_id", "abababababab.1.0000000007"),
        ("container_id", "ab" * 32),
        ("container_name", "/shop-web-1"),
        ("image", "web:1"),
        ("compose_project", "shop"),
        ("compose_service", "web"),
        ("compose_number", "1"),
        ("host", "host-1"),
        ("attrs", {"tag": "a"}),
        ("fields", {"level": "info", "event_id": "not this one"}),
    ]


def test_an_event_without_attributes_has_no_such_members() -> None:
    [entry] = LineEncoder("host-1").entries(batch([event(7)]))
    assert list(json.loads(entry.data))[-1] == "host"


def test_a_container_that_was_renamed_gets_its_new_name() -> None:
    lines = LineEncoder("host-1")
    lines.entries(batch([event(1)]))
    renamed = batch([event(2)])
    renamed.container = dataclasses.replace(CONTAINER, name="other")
    [entry] = lines.entries(renamed)
    assert json.loads(entry.data)["container_name"] == "/other"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"log":"x","event_id":"a.b.1","more":1}\n', b"a.b.1"),
        (b'{"log":"\\"event_id\\":\\"fake\\"","event_id":"real"}\n', b"real"),
        (b'{"log":"x"}\n', None),
        (b'{"log":"x","event_id":""}\n', None),
        (b'{"log":"x","event_id":"torn', None),
        (b"\n", None),
    ],
)
def test_the_id_of_a_line(line: bytes, expected: bytes | None) -> None:
    assert event_id(line) == expected


def test_a_text_that_looks_like_an_id_is_none() -> None:
    [entry] = LineEncoder("h").entries(batch([event(3, '"event_id":"fake"')]))
    assert event_id(entry.data) == b"abababababab.1.0000000003"
