from __future__ import annotations

import json

import pytest

from bench.remediation_ack import main, notification
from remediation.receiver.alertmanager import parse


def test_its_groups_are_notifications() -> None:
    signals = parse(notification(3, 50), 0.0).signals
    assert len({signal.fingerprint for signal in signals}) == 50


def test_a_short_run_finds_every_alert_on_disk(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rate", "100", "--group", "10", "--seconds", "1", "--connections", "30"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["statuses"], found["missing"], found["refused"]) == ({"202": 40}, 0, 0)
    assert (found["steady"]["groups"], found["at_once"]["connections"]) == (10, 30)
    assert found["steady"]["answered_ms"]["p99"] >= found["steady"]["answered_ms"]["p50"] > 0
