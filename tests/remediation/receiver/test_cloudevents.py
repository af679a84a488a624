from __future__ import annotations

import json
from typing import Any

import pytest

from remediation.model import Source
from remediation.receiver.cloudevents import parse
from remediation.receiver.refusal import Refusal, Why

TRIGGER: dict[str, Any] = {
    "specversion": "1.0",
    "id": "0123456789ab.g1.0a/oom",
    "source": "/hosts/h/containers/ab",
    "type": "io.compose-agent.log.match",
    "time": "2026-01-02T03:04:05.678901234Z",
    "subject": "shop-web-1",
    "datacontenttype": "application/json",
    "data": {"pattern": "oom", "container_name": "shop-web-1", "compose_project": "shop"},
}
TRACE = {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7"}
OTHER = "00-" + "1" * 32 + "-" + "2" * 16 + "-00"


def encoded(**more: Any) -> bytes:
    return json.dumps({**TRIGGER, **more}).encode()


def test_a_trigger_is_a_signal_that_fires() -> None:
    signal = parse(encoded(), 9.0, OTHER)
    assert (signal.source, signal.name, signal.firing) == (Source.TRIGGER, TRIGGER["type"], True)
    assert signal.fingerprint == "/hosts/h/containers/ab 0123456789ab.g1.0a/oom"
    assert (signal.starts_at, signal.received_at, signal.traceparent) == (1_767_323_045.678, 9.0, OTHER)
    assert signal.labels == {
        "pattern": "oom",
        "container_name": "shop-web-1",
        "compose_project": "shop",
        "name": "shop-web-1",
        "subject": "shop-web-1",
    }


def test_without_a_time_it_is_the_same_occurrence_whenever_it_comes() -> None:
    body = json.dumps({key: value for key, value in TRIGGER.items() if key != "time"}).encode()
    assert parse(body, 9.5).starts_at == parse(body, 10.5).starts_at == 0.0


@pytest.mark.parametrize(
    ("data", "subject", "labels"),
    [
        ({}, None, {}),
        ({}, "db", {"name": "db", "subject": "db"}),
        ({"container_name": "web"}, "db", {"container_name": "web", "name": "web", "subject": "db"}),
        ({"name": "own", "container_name": "web"}, None, {"name": "own", "container_name": "web"}),
        ({"a": "x", "b": 1, "c": {"d": "e"}, "f": ["g"], "h": None}, None, {"a": "x"}),
        ({"subject": "of data"}, "of the event", {"name": "of the event", "subject": "of the event"}),
    ],
)
def test_labels_are_the_texts_of_its_data(
    data: dict[str, Any], subject: str | None, labels: dict[str, str]
) -> None:
    trigger = {**TRIGGER, "data": data, "subject": subject}
    body = json.dumps({key: value for key, value in trigger.items() if value is not None}).encode()
    assert parse(body, 0.0).labels == labels


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (TRACE, f"00-{TRACE['trace_id']}-{TRACE['span_id']}-01"),
        ({**TRACE, "span_id": "0" * 16}, OTHER),
        ({**TRACE, "trace_id": "X" * 32}, OTHER),
        ({**TRACE, "trace_id": 7}, OTHER),
        ({"trace_id": TRACE["trace_id"]}, OTHER),
    ],
)
def test_the_trace_of_the_line_goes_before_that_of_the_request(data: dict[str, Any], expected: str) -> None:
    assert parse(encoded(data=data), 0.0, OTHER).traceparent == expected


def test_source_and_id_never_run_together() -> None:
    pairs = [("a b", "c"), ("a", "b c"), ("a", "b"), ("a", "b/c"), ("a/b", "c")]
    found = {parse(encoded(source=source, id=name), 0.0).fingerprint for source, name in pairs}
    assert len(found) == len(pairs)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "expected a CloudEvent: "),
        (encoded(specversion="0.3"), "expected 1.0"),
        (encoded(data="x"), "data: expected an object"),
        (encoded(time="2026-01-02"), "expected a zone"),
        (encoded(id="x" * 1025), "id: expected at most 1024 characters"),
        (encoded(source="x" * 1025), "source: expected at most 1024 characters"),
        (encoded(data={"a": "x"}).replace(b'"x"', b'"\\ud800"'), "expected a CloudEvent"),
    ],
)
def test_what_is_none_is_refused_with_the_reason(body: bytes, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(body, 0.0)
    assert (refused.value.why, refused.value.status) == (Why.MALFORMED, 400)
    assert said in refused.value.message


def test_what_is_nested_beyond_all_use_is_refused() -> None:
    body = encoded(data={"a": 0}).replace(b'"a": 0', b'"a": ' + b"[" * 100_000 + b"]" * 100_000)
    with pytest.raises(Refusal, match="nested too deep"):
        parse(body, 0.0)
