from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from remediation.model import Source
from remediation.receiver.alertmanager import parse
from remediation.receiver.received import BUCKETS, Received
from remediation.receiver.refusal import Why
from tests.remediation.receiver.sample import MIXED, recorded

ALERTS, TRIGGERS = Source.ALERTMANAGER, Source.TRIGGER


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    return [(record.reason, record.others_since) for record in caplog.records]  # type: ignore[attr-defined]


def test_what_was_taken_is_counted_with_its_time() -> None:
    received = Received()
    signals = parse(recorded(MIXED)[1], 0.0).signals
    received.count(ALERTS, signals, 0.001, left_out=3)
    received.count(ALERTS, signals[:1], 0.03)
    received.count(TRIGGERS, [], 99.0)
    assert received.requests == {ALERTS: 2, TRIGGERS: 1}
    assert received.signals == {(ALERTS, True): 3, (ALERTS, False): 1}
    assert received.truncated == 3
    assert received.durable_seconds == pytest.approx(99.031)
    found = dict(zip((*BUCKETS, "more"), received.durable_counts, strict=True))
    assert {bound: count for bound, count in found.items() if count} == {0.001: 1, 0.05: 1, "more": 1}


def test_every_refusal_is_counted_and_one_a_minute_logged(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    received = Received(clock)
    for second in range(0, 150, 10):
        clock.now = second
        received.refuse(ALERTS, Why.WRONG_TOKEN, "10.0.0.1", Why.WRONG_TOKEN)
    received.refuse(ALERTS, Why.MALFORMED, "10.0.0.1", "expected a notification")
    assert received.refused == {(ALERTS, Why.WRONG_TOKEN): 15, (ALERTS, Why.MALFORMED): 1}
    assert received.requests == {ALERTS: 16}
    assert logged(caplog) == [("wrong_token", 0), ("wrong_token", 5), ("wrong_token", 5), ("malformed", 0)]
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert caplog.records[-1].error == "expected a notification"  # type: ignore[attr-defined]
    assert caplog.records[0].remote == "10.0.0.1"  # type: ignore[attr-defined]
