from __future__ import annotations

import json
from typing import Any

import pytest

from remediation.model import Source
from remediation.receiver import alertmanager
from remediation.receiver.alertmanager import Truncated, fingerprint, parse
from remediation.receiver.refusal import Refusal, Why
from tests.remediation.receiver.sample import CUT, MIXED, alert, notification, recorded

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in alert().items() if key != name}


def test_each_alert_of_a_mixed_group_is_a_signal_of_its_own() -> None:
    _, body = recorded(MIXED)
    found = parse(body, 1_795_360_719.0, TRACE)
    assert found.truncated is None
    assert [(each.firing, each.fingerprint, each.labels["instance"]) for each in found.signals] == [
        (True, "8c5fe7e7575f50b7", "1"),
        (False, "e319c895afa86ce8", "2"),
        (True, "2307590586170a9d", "3"),
    ]
    first, resolved, _ = found.signals
    assert (first.source, first.name) == (Source.ALERTMANAGER, "ContainerDown")
    assert (first.starts_at, first.ends_at) == (1_795_360_712.401, 0.0)
    assert resolved.ends_at == 1_795_360_714.91
    assert first.annotations == {"summary": "container 1 is down"}
    assert {(each.received_at, each.traceparent) for each in found.signals} == {(1_795_360_719.0, TRACE)}


def test_a_group_from_which_alerts_were_cut_says_where_to_ask_for_the_rest() -> None:
    found = parse(recorded(CUT)[1], 0.0)
    assert len(found.signals) == 2
    labels = {"alertname": "ContainerDown", "case": "max"}
    assert found.truncated == Truncated(receiver="max", group_labels=labels, number=3)


@pytest.mark.parametrize("name", [MIXED, CUT])
def test_a_missing_fingerprint_is_what_alertmanager_would_have_sent(name: str) -> None:
    body = json.loads(recorded(name)[1])
    sent = [each.pop("fingerprint") for each in body["alerts"]]
    assert [each.fingerprint for each in parse(json.dumps(body).encode(), 0.0).signals] == sent


def test_labels_that_run_together_have_different_fingerprints() -> None:
    pairs = [{"a": "bc"}, {"ab": "c"}, {"a": "b", "c": ""}, {"ä": "b"}]
    assert len({fingerprint(labels) for labels in pairs}) == len(pairs)


@pytest.mark.parametrize(
    "labels",
    [
        {"alertname": "größer 💥", "naïve.label": "x"},
        {"alertname": "$(reboot)`;\n'\"\\", "name": "../../etc"},
        {"alertname": "\x00\x1b[31m\u202e"},
        {"name": "no alertname"},
    ],
)
def test_labels_are_any_text(labels: dict[str, str]) -> None:
    (signal,) = parse(notification(alert(labels=labels)), 0.0).signals
    assert (signal.labels, signal.name) == (labels, labels.get("alertname", ""))


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"new_member": {"deep": [[[1]]]}, "commonLabels": None, "externalURL": 7},
        {"groupLabels": None, "truncatedAlerts": 2},
        {"receiver": ""},
    ],
)
def test_members_that_are_not_used_are_ignored(more: dict[str, Any]) -> None:
    assert len(parse(notification(alert(new="x"), **more), 0.0).signals) == 1


@pytest.mark.parametrize(
    ("given", "starts_at", "ends_at"),
    [
        ({"endsAt": None}, 1_795_360_712.401, 0.0),
        ({"startsAt": "0001-01-01T00:00:00Z"}, 0.0, 0.0),
        ({"startsAt": "0001-01-01T00:00:00+14:00"}, 0.0, 0.0),
        ({"startsAt": "1970-01-01T01:00:01.9999Z"}, 3601.999, 0.0),
        ({"startsAt": "2026-11-22T16:18:32.401+01:00"}, 1_795_360_712.401, 0.0),
    ],
)
def test_times_are_to_the_millisecond(given: dict[str, Any], starts_at: float, ends_at: float) -> None:
    (signal,) = parse(notification(alert(**given)), 0.0).signals
    assert (signal.starts_at, signal.ends_at) == (starts_at, ends_at)


@pytest.mark.parametrize("missing", ["endsAt", "annotations", "fingerprint", "generatorURL"])
def test_what_an_alert_may_lack(missing: str) -> None:
    (signal,) = parse(notification(without(missing)), 0.0).signals
    assert (signal.ends_at, len(signal.fingerprint)) == (0.0, 16)


def test_no_alerts_are_no_signals() -> None:
    assert parse(notification(), 0.0).signals == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "truncated"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (b"[]", "Expected `object`"),
        (b"{}", "missing required field `version`"),
        (notification(version="3"), "$.version"),
        (notification(version=4), "$.version"),
        (notification(alerts={}), "$.alerts"),
        (notification(truncatedAlerts=-1), "$.truncatedAlerts"),
        (notification(alert(labels={})), "$.alerts[0].labels"),
        (notification(alert(labels={"a": 1})), "$.alerts[0].labels"),
        (notification(alert(), alert(status="pending")), "$.alerts[1].status"),
        (notification(alert(startsAt="2026-11-22T15:18:32")), "timezone"),
        (notification(alert(startsAt="yesterday")), "RFC3339"),
        (notification(alert(fingerprint="f" * 129)), "$.alerts[0].fingerprint"),
        (notification(without("startsAt")), "startsAt"),
        (notification(without("status")), "status"),
        (b'{"version":"4","alerts":[{"labels":{"a":"\\ud800"}}]}', ""),
    ],
)
def test_what_is_no_notification_is_refused_with_the_place(body: bytes, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse(body, 0.0)
    assert refused.value.why is Why.MALFORMED
    assert said in refused.value.message


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (notification(alert(labels={"a": "ä"})).replace(b"\\u00e4", b"\xe4"), Why.NOT_UTF8),
        (notification(extra="ä").replace(b"\\u00e4", b"\xed\xa0\x80"), Why.NOT_UTF8),
        (notification(extra=0).replace(b"0}", b"[" * 100_000 + b"]" * 100_000 + b"}"), Why.TOO_DEEP),
        (notification(extra=0).replace(b"0}", b'{"":' * 100_000), Why.TOO_DEEP),
    ],
)
def test_what_is_beyond_all_limits_is_refused_for_that(body: bytes, why: Why) -> None:
    with pytest.raises(Refusal) as refused:
        parse(body, 0.0)
    assert refused.value.why is why


def test_the_number_of_alerts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alertmanager, "MOST_ALERTS", 3)
    assert len(parse(notification(*[alert()] * 3), 0.0).signals) == 3
    with pytest.raises(Refusal, match="at most 3 alerts"):
        parse(notification(*[alert()] * 4), 0.0)


def test_a_reason_is_one_short_line() -> None:
    with pytest.raises(Refusal) as refused:
        parse(notification(alert(status="a\nb" * 10_000)), 0.0)
    assert len(refused.value.message) <= 200
    assert "\n" not in refused.value.message
