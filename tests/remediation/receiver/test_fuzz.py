"""Whatever comes: a notification or a trigger is taken, or refused with a reason; nothing else is raised."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.typed import from_json
from remediation.model import Signal
from remediation.receiver import alertmanager, cloudevents
from remediation.receiver.refusal import Refusal
from tests.remediation.receiver.sample import alert, notification

TRIGGER = {"specversion": "1.0", "id": "a", "source": "/h", "type": "t", "data": {"a": "x"}}

texts = st.text() | st.sampled_from(["firing", "4", "1.0", "2026-11-22T15:18:32Z", "\ud800", "\x00"])
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def outcome(parse: Callable[[bytes, float], Any], body: bytes) -> Any:
    try:
        return parse(body, 0.0)
    except Refusal:
        return None


def storable(signal: Signal) -> bool:
    """Tell whether a signal is the same after it was stored; raises for what cannot be."""
    return from_json(msgspec.json.encode(signal), Signal) == signal


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    outcome(alertmanager.parse, body)  # that it raises nothing but a refusal is what is asked
    outcome(cloudevents.parse, body)


@given(documents)
def test_any_document(document: Any) -> None:
    body = json.dumps(document).encode()
    outcome(alertmanager.parse, body)
    outcome(cloudevents.parse, body)


@given(st.sampled_from(sorted(alert())), documents)
def test_any_member_of_an_alert(name: str, value: Any) -> None:
    found = outcome(alertmanager.parse, notification(alert(**{name: value})))
    assert found is None or all(map(storable, found.signals))


@given(
    st.sampled_from(["version", "receiver", "groupLabels", "truncatedAlerts", "alerts", "status"]), documents
)
def test_any_member_of_a_notification(name: str, value: Any) -> None:
    found = outcome(alertmanager.parse, notification(alert(), **{name: value}))
    if found is not None and found.truncated:
        msgspec.json.encode(found.truncated)


@given(st.sampled_from([*TRIGGER, "time", "subject", "extension"]), documents)
def test_any_member_of_a_trigger(name: str, value: Any) -> None:
    found = outcome(cloudevents.parse, json.dumps({**TRIGGER, name: value}).encode())
    assert found is None or storable(found)


@given(st.dictionaries(st.text(), st.text(), min_size=1))
def test_any_labels(labels: dict[str, str]) -> None:
    (signal,) = alertmanager.parse(notification(alert(labels=labels, fingerprint="")), 0.0).signals
    assert signal.labels == labels
    assert storable(signal)
    shuffled = dict(reversed(labels.items()))
    assert alertmanager.fingerprint(shuffled) == signal.fingerprint


@pytest.mark.parametrize("parse", [alertmanager.parse, cloudevents.parse])
@given(body=st.sampled_from([notification(alert(), alert()), json.dumps(TRIGGER).encode()]), data=st.data())
def test_damaged_bytes(parse: Callable[[bytes, float], Any], body: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(body)))
    until = data.draw(st.integers(at, min(at + 30, len(body))))
    outcome(parse, body[:at] + data.draw(st.binary(max_size=30)) + body[until:])
