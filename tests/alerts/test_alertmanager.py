"""Alertmanager takes its configuration, and sends each alert where it belongs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest
import yaml

from lab.alertmanager import LINES, Alertmanager, amtool
from remediation.policies.load import load_policies
from tests.alerts.rules import ALERTS, FIRING, NAMES

FILE = ALERTS / "alertmanager.yml"
WHOLE: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
# Whom to tell is for the user to fill in; resolve_timeout counts only for alerts not from Prometheus.
KNOWN_FINDINGS = {"empty-receiver", "global-resolve-timeout-missing"}
# Alertmanager looks at its inhibitions as soon as it has an alert.
INHIBITED_WITHIN_SECONDS = 30.0


@pytest.mark.engine
@pytest.mark.parametrize("line", LINES)
def test_alertmanager_takes_the_configuration(line: str) -> None:
    checked = amtool("check-config", str(FILE), line=line)
    assert checked.returncode == 0, checked.stderr


def test_the_linter_finds_nothing_but_receivers_that_are_to_be_filled_in() -> None:
    command = [sys.executable, "-m", "amlint.cli", "check", "--format", "json", str(FILE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert {each["code"] for each in json.loads(done.stdout)} <= KNOWN_FINDINGS


def routed(name: str, severity: str) -> str:
    done = amtool(
        "config", "routes", "test", f"--config.file={FILE}", f"alertname={name}", f"severity={severity}"
    )
    return done.stdout.strip()


@pytest.mark.engine
def test_every_alert_goes_to_the_role_and_to_those_who_are_to_know() -> None:
    for rule in FIRING:
        severity = rule["labels"]["severity"]
        people = "on-call" if severity == "critical" else "people"
        expected = "watchdog" if rule["alert"] == "Watchdog" else f"remediation,{people}"
        assert routed(rule["alert"], severity) == expected


def test_the_route_tells_the_role_of_each_alert_by_itself_and_of_its_end() -> None:
    (route,) = [each for each in WHOLE["route"]["routes"] if each["receiver"] == "remediation"]
    assert route["group_by"] == ["..."]
    assert (route["group_wait"], route["group_interval"]) == ("0s", "10s")
    (receiver,) = [each for each in WHOLE["receivers"] if each["name"] == "remediation"]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"] == "http://127.0.0.1:9419/webhook"
    assert webhook["send_resolved"] is True
    assert "max_alerts" not in webhook


@pytest.mark.engine
def test_what_a_policy_is_for_is_held_back_only_by_a_stronger_form_of_itself() -> None:
    policies = load_policies(None)
    acted_on = [name for name in NAMES if policies.matching({"alertname": name})]
    assert acted_on
    with Alertmanager(WHOLE) as alertmanager:
        everything = [
            raised(rule["alert"], rule["labels"]["severity"])
            for rule in FIRING
            if rule["alert"] != "Watchdog"
        ]
        alertmanager.post_alerts(everything)
        held = inhibited(alertmanager, len(everything))

    assert held == {
        ("ContainerMemoryNearLimit", "warning"),
        ("DockerDiskAlmostFull", "warning"),
        ("DockerDiskFillingUp", "warning"),
        ("EngineSlow", "warning"),
        ("ExporterCollectorFailing", "warning"),
        ("ExporterScrapeSlow", "warning"),
        ("ExporterUsageUnreadable", "warning"),
        ("ServiceDown", "critical"),
        ("ContainerStopped", "info"),
        ("ContainerCpuThrottled", "info"),
        ("LogShippingLate", "warning"),
        ("RemediationStuck", "critical"),
        ("RemediationRefusesAlerts", "warning"),
    }
    assert {name for name, _ in held} & {*acted_on} == {"ContainerMemoryNearLimit"}


@pytest.mark.engine
def test_nothing_is_held_back_because_of_another_host_container_or_sink() -> None:
    with Alertmanager(WHOLE) as alertmanager:
        sources = ["EngineUnreachable", "LogSinkDown", "ServiceCpuSaturated", "RemediationJournalNotWritable"]
        posted = [raised(name, "critical") for name in sources]
        posted += [
            raised(name, "warning", instance="other")
            for name in ("ServiceDown", "EngineSlow", "RemediationStuck", "ContainerCpuThrottled")
        ]
        posted.append(raised("LogShippingLate", "warning", sink="another"))
        posted.append(raised("ContainerMemoryNearLimit", "critical"))
        posted.append(raised("ContainerMemoryNearLimit", "warning", id="0202"))
        alertmanager.post_alerts(posted)
        assert inhibited(alertmanager, len(posted)) == set()


def raised(name: str, severity: str, **others: str) -> dict[str, dict[str, str]]:
    """Return an alert about one container, which has the labels of a sink as well."""
    where = {"job": "docker", "instance": "h", "id": "0101", "name": "shop-web-1", "sink": "one"}
    service = {"compose_project": "shop", "compose_service": "web"}
    return {"labels": {"alertname": name, "severity": severity, **where, **service, **others}}


def inhibited(alertmanager: Alertmanager, posted: int) -> set[tuple[str, str]]:
    """Return name and severity of what is held back, once all are known and their states are settled."""
    deadline = time.monotonic() + INHIBITED_WITHIN_SECONDS
    before: set[tuple[str, str]] | None = None
    while time.monotonic() < deadline:
        known = alertmanager.alerts()
        held = {
            (each["labels"]["alertname"], each["labels"]["severity"])
            for each in known
            if each["status"]["inhibitedBy"]
        }
        settled = len(known) == posted and all(each["status"]["state"] != "unprocessed" for each in known)
        if settled and held == before:
            return held
        before = held if settled else None
        time.sleep(0.5)
    raise AssertionError(f"not settled: {known}")
