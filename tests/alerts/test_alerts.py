"""Rules, route, runbooks and policies of alerts/ fit together and are taken by the programs they are for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab.alertmanager import LINES, amtool
from lab.prometheus import promtool
from remediation.actions import ACTIONS
from remediation.arguments import DEFAULT_LEAST, DEFAULT_MOST
from remediation.failover.keeper import NAME as FAILOVER_SIGNAL
from remediation.model import TargetKind
from remediation.policies.load import Policies, load_policies
from remediation.triggers.scaler.service import NAME as SCALER_SIGNAL

ROOT = Path(__file__).resolve().parents[2]
ALERTS = ROOT / "alerts"
RULES = sorted(ALERTS.glob("rules/*.yml"))
UNIT_TESTS = sorted(ALERTS.glob("tests/*.yml"))
# Debian's stable Prometheus, which is 2.x, and the newest that a distribution has.
SUITES = (None, "forky")


def rules() -> list[dict[str, Any]]:
    groups = [group for path in RULES for group in yaml.safe_load(path.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


FIRING = {rule["alert"]: rule for rule in rules() if "alert" in rule}


@pytest.fixture(scope="module")
def policies() -> Policies:
    return load_policies(None)


@pytest.mark.engine
@pytest.mark.parametrize("suite", SUITES)
def test_prometheus_takes_the_rules_and_they_do_what_their_tests_say(suite: str | None) -> None:
    checked = promtool("check", "rules", *map(str, RULES), suite=suite)
    assert checked.returncode == 0, checked.stderr
    tested = promtool("test", "rules", *map(str, UNIT_TESTS), suite=suite)
    assert tested.returncode == 0, tested.stderr


def test_every_file_of_rules_has_its_tests_and_every_alert_is_in_them() -> None:
    assert [path.name for path in UNIT_TESTS] == [path.name for path in RULES]
    tested = "".join(path.read_text() for path in UNIT_TESTS)
    assert [
        name for name in FIRING if f"alertname: {name}\n        exp_alerts:\n          - " not in tested
    ] == []


def test_rules_name_metrics_that_there_are() -> None:
    known = set(re.findall(r"^\| `(docker_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    named = {
        name for rule in rules() for name in re.findall(r"\b(?:docker_|compose_service:)[\w:]+", rule["expr"])
    }
    assert named <= known | recorded
    assert recorded <= named


@pytest.mark.parametrize("name", FIRING)
def test_every_alert_has_a_runbook_and_says_where(name: str) -> None:
    path = FIRING[name]["annotations"]["runbook"]
    assert path == f"alerts/runbooks/{name}.md"
    assert (ROOT / path).read_text().startswith(f"# {name}\n")


def test_every_runbook_is_that_of_an_alert() -> None:
    assert {path.stem for path in ALERTS.glob("runbooks/*.md")} == set(FIRING)


@pytest.mark.parametrize("name", FIRING)
def test_every_alert_has_one_policy_which_its_runbook_names(policies: Policies, name: str) -> None:
    (policy,) = policies.matching({"alertname": name})
    runbook = (ALERTS / "runbooks" / f"{name}.md").read_text()
    assert f"(policy `{policy.name}`)" in " ".join(runbook.split()) or f"(policy\n`{policy.name}`)" in runbook
    opt_in = {ACTIONS[step.action].opt_in for step in policy.ladder}
    assert len(opt_in) == 1
    assert f"has `{opt_in.pop()}`" in " ".join(runbook.split())


def test_no_policy_is_for_an_alert_that_is_not_there(policies: Policies) -> None:
    known = set(FIRING) | {SCALER_SIGNAL, FAILOVER_SIGNAL}
    assert {matcher.value for policy in policies.policies for matcher in policy.match} == known


@pytest.mark.parametrize("name", ["ContainerUnhealthy", "ContainerExited", "ContainerMemoryNearLimit"])
def test_containers_are_restarted(policies: Policies, name: str) -> None:
    (policy,) = policies.matching({"alertname": name})
    assert [step.action for step in policy.ladder] == ["restart"]
    assert policy.target.kind is TargetKind.CONTAINER


def test_services_are_scaled_between_one_and_three(policies: Policies) -> None:
    for name in ("ServiceCpuSaturated", "ServiceCpuIdle"):
        (policy,) = policies.matching({"alertname": name})
        assert policy.target.kind is TargetKind.SERVICE
        for step in policy.ladder:
            assert step.action == "scale"
            assert (step.arguments["min"], step.arguments["max"]) == (DEFAULT_LEAST, DEFAULT_MOST) == (1, 3)


@pytest.mark.engine
@pytest.mark.parametrize("line", LINES)
def test_alertmanager_takes_the_configuration(line: str) -> None:
    checked = amtool("check-config", str(ALERTS / "alertmanager.yml"), line=line)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.engine
def test_every_alert_goes_to_the_role_and_to_people() -> None:
    file = f"--config.file={ALERTS / 'alertmanager.yml'}"
    for name in FIRING:
        routed = amtool("config", "routes", "test", file, f"alertname={name}")
        assert routed.stdout.strip() == "remediation,people"


def test_the_route_tells_the_role_of_each_alert_by_itself_and_of_its_end() -> None:
    whole = yaml.safe_load((ALERTS / "alertmanager.yml").read_text())
    (route,) = [each for each in whole["route"]["routes"] if each["receiver"] == "remediation"]
    assert route["group_by"] == ["..."]
    assert (route["group_wait"], route["group_interval"]) == ("0s", "10s")
    (receiver,) = [each for each in whole["receivers"] if each["name"] == "remediation"]
    (webhook,) = receiver["webhook_configs"]
    assert webhook["url"] == "http://127.0.0.1:9419/webhook"
    assert webhook["send_resolved"] is True
    assert "max_alerts" not in webhook
