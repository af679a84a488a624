from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from compose_agent.role import ConfigState
from remediation.guard.breaker import Breaker
from remediation.guard.buckets import Bucket
from remediation.journal import FREEZE_FLAG, Journal
from remediation.metrics import RemediationMetrics
from remediation.model import Source, State
from remediation.policies.model import Policy, Rate
from remediation.receiver.received import Received
from remediation.receiver.refusal import Why
from tests.remediation.journal.making import episode, intent, signal
from tests.remediation.samples import policy

PARSERS: dict[bool, Any] = {False: parse_text, True: parse_openmetrics}
NOW = 5000.0


@dataclass
class Watched:
    """What the role gives to its metrics."""

    journal: Journal
    received: Received = field(default_factory=Received)

    def beat_at(self) -> float:
        return NOW - 1

    def policy(self, name: str) -> Policy | None:
        return policy(name) if name == "mend" else None

    def budgets(self) -> Mapping[str, Rate]:
        return {"host": Rate(20, 600.0), "everything": Rate(40, 600.0)}


def series(watched: Watched, *, openmetrics: bool = False) -> dict[str, float]:
    """Return the role's own series as ``name{label=value}``."""
    metrics = RemediationMetrics(ConfigState(), watched, lambda: NOW)
    text = metrics.text(openmetrics=openmetrics).decode()
    return {
        f"{sample.name}{{{','.join(f'{key}={value}' for key, value in sorted(sample.labels.items()))}}}": (
            sample.value
        )
        for family in PARSERS[openmetrics](text)
        for sample in family.samples
    }


def act(journal: Journal) -> None:
    """Write what a busy hour leaves."""
    journal.receive([signal("f1"), signal("f2"), signal("f3")])
    journal.write(lambda tx: tx.handled([1]))
    opened = episode("e1", received_at=1000.1)
    acting = intent("i1", state=State.VERIFYING, started_at=1000.2)
    journal.write(lambda tx: tx.put_episode(opened))
    journal.write(lambda tx: tx.put_intent(acting))
    journal.write(lambda tx: tx.count_action(acting, "done"))
    journal.write(lambda tx: tx.count_action(intent("i0", rung=1, started_at=9.0), "failed"))
    journal.write(lambda tx: tx.put_intent(intent("i2", episode="e2", state=State.DONE)))
    journal.write(lambda tx: tx.put_intent(intent("i3", episode="e3")))
    journal.write(lambda tx: tx.put_bucket("host", Bucket(10.0, NOW - 30)))
    journal.write(lambda tx: tx.put_breaker("mend:container:a", Breaker(1, NOW)))
    journal.write(lambda tx: tx.put_breaker("mend:container:b", Breaker(3, NOW - 10)))
    journal.write(lambda tx: tx.put_breaker("mend:container:c", Breaker(3, NOW - 601, trial=True)))
    journal.write(lambda tx: tx.put_breaker("gone:container:d", Breaker(3, NOW)))
    journal.write(lambda tx: tx.set_flag(FREEZE_FLAG, "by ann"))
    journal.write(lambda tx: tx.count("budget", "mend"))


@pytest.mark.parametrize("openmetrics", [False, True])
def test_the_metrics_say_what_the_journal_has(journal: Journal, *, openmetrics: bool) -> None:
    act(journal)
    found = series(Watched(journal), openmetrics=openmetrics)
    expected = {
        "remediation_inbox_signals{}": 2,
        "remediation_frozen{}": 1,
        "remediation_intents{state=planned}": 1,
        "remediation_intents{state=executing}": 0,
        "remediation_intents{state=verifying}": 1,
        "remediation_budget_remaining{budget=host}": 11,
        "remediation_budget_remaining{budget=everything}": 40,
        "remediation_breaker_state{policy=mend,state=closed,target=container:a}": 1,
        "remediation_breaker_state{policy=mend,state=open,target=container:b}": 1,
        "remediation_breaker_state{policy=mend,state=closed,target=container:b}": 0,
        "remediation_breaker_state{policy=mend,state=half_open,target=container:c}": 1,
        "remediation_decisions_total{policy=mend,reason=budget}": 1,
        "remediation_actions_total{action=restart,result=done}": 1,
        "remediation_actions_total{action=restart,result=failed}": 1,
        "remediation_alert_to_action_seconds_bucket{le=0.15}": 0,
        "remediation_alert_to_action_seconds_bucket{le=0.5}": 1,
        "remediation_alert_to_action_seconds_count{}": 1,
        "remediation_receipt_to_action_seconds_bucket{le=0.15}": 1,
        "remediation_receipt_to_action_seconds_count{}": 1,
        "remediation_journal_writable{}": 1,
        "remediation_engine_heartbeat_timestamp_seconds{}": NOW - 1,
        "remediation_config_revision{}": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["remediation_receipt_to_action_seconds_sum{}"] == pytest.approx(0.1)
    assert found["remediation_journal_commits_total{}"] == journal.commits
    assert not [name for name in found if "container:d" in name]


def test_the_metrics_say_what_was_received(journal: Journal) -> None:
    watched = Watched(journal)
    watched.received.count(Source.ALERTMANAGER, [signal(), signal(firing=False), signal()], 0.004, left_out=2)
    why = next(iter(Why))
    watched.received.refuse(Source.TRIGGER, why, "127.0.0.1", why)
    found = series(watched)
    expected = {
        "remediation_requests_total{source=alertmanager}": 1,
        "remediation_requests_total{source=trigger}": 1,
        f"remediation_refused_requests_total{{reason={why},source=trigger}}": 1,
        "remediation_signals_total{source=alertmanager,status=firing}": 2,
        "remediation_signals_total{source=alertmanager,status=resolved}": 1,
        "remediation_truncated_alerts_total{}": 2,
        "remediation_acknowledgement_seconds_bucket{le=0.0025}": 0,
        "remediation_acknowledgement_seconds_bucket{le=0.005}": 1,
        "remediation_acknowledgement_seconds_count{}": 1,
    }
    assert {name: found.get(name) for name in expected} == expected


def test_what_the_journal_cannot_tell_is_absent(journal: Journal) -> None:
    journal.close()
    found = series(Watched(journal))
    assert "remediation_inbox_signals{}" not in found
    assert "remediation_journal_commits_total{}" in found
