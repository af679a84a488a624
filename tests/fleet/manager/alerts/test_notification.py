from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.manager.alerts.notification import Malformed, parse

ALERT: dict[str, Any] = {
    "status": "firing",
    "labels": {"alertname": "A", "node_id": "web"},
    "annotations": {"summary": "s"},
    "startsAt": "2026-01-02T03:04:05Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "fingerprint": "f1",
}


def body(*alerts: object, **more: object) -> bytes:
    return json.dumps(
        {"version": "4", "receiver": "r", "groupLabels": {"g": "1"}, "alerts": alerts, **more}
    ).encode()


def test_each_alert_is_handed_on_as_it_came() -> None:
    resolved = {**ALERT, "status": "resolved", "fingerprint": "f2", "future": [1]}
    (one, two), left_out = parse(body(ALERT, resolved, truncatedAlerts=3))
    assert left_out == 3
    assert (one.name, one.fingerprint, one.firing, one.labels["node_id"]) == ("A", "f1", True, "web")
    assert (two.fingerprint, two.firing) == ("f2", False)
    found = json.loads(two.body)
    assert found == {"version": "4", "receiver": "r", "groupLabels": {"g": "1"}, "alerts": [resolved]}


def test_without_a_fingerprint_the_labels_name_it() -> None:
    bare = {key: value for key, value in ALERT.items() if key != "fingerprint"}
    turned = {**bare, "labels": dict(reversed(bare["labels"].items()))}
    (one, two), _ = parse(body(bare, turned))
    assert one.fingerprint == two.fingerprint != ""


def test_recorded_notifications_are_read() -> None:
    folder = Path(__file__).parents[3] / "remediation" / "receiver" / "samples"
    for sample in sorted(folder.glob("*.json")):
        alerts, _ = parse(json.dumps(json.loads(sample.read_bytes())["body"]).encode())
        assert alerts, sample


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"[]",
        b"\xff",
        body(ALERT, version="3"),
        body({**ALERT, "status": "unknown"}),
        body({**ALERT, "labels": {}}),
        body({**ALERT, "labels": {"a": 1}}),
        body({"status": "firing", "labels": {"a": "b"}}),
        body("text"),
        body(*[ALERT] * 10_001),
        b'{"version": "4", "alerts": [' + b"[" * 100_000 + b"]" * 100_000 + b"]}",
    ],
)
def test_what_is_none_is_refused(wrong: bytes) -> None:
    with pytest.raises(Malformed):
        parse(wrong)


@given(st.binary(max_size=200))
def test_nothing_that_comes_makes_it_fail_otherwise(data: bytes) -> None:
    with pytest.raises(Malformed):
        parse(data)
