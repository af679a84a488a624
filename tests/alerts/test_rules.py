"""Rules are taken by Prometheus, do what their tests say, and say what a person needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.source.runbooks import address
from lab.prometheus import promtool
from tests.alerts.rules import ALERTS, FIRING, NAMES, RULES, SUITES, UNIT_TESTS, rules
from tests.dashboards.catalogue import Family, everything, labels_by_name
from tests.dashboards.promql import BORN, labels_of, parse, uses
from tests.dashboards.test_dashboards import check_address

GRAFANA = "http://127.0.0.1:3000"
# A story is about what several files say together.
STORIES = "stories.yml"
ALWAYS = "Watchdog"
RATES = {"rate", "increase"}
# The counts of the Engine and of kills are compared with 0.
SHOWN_AS_THEY_ARE = {"docker_container_oom_kills_total"}


@pytest.fixture(scope="module")
def known() -> dict[str, Family]:
    return everything()


@pytest.mark.engine
@pytest.mark.parametrize("suite", SUITES)
def test_prometheus_takes_the_rules(suite: str | None) -> None:
    checked = promtool("check", "rules", *map(str, RULES), suite=suite)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.engine
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.stem)
def test_rules_do_what_their_tests_say(path: Path, suite: str | None) -> None:
    tested = promtool("test", "rules", str(path), suite=suite)
    assert tested.returncode == 0, tested.stderr


def test_every_file_of_rules_has_its_tests() -> None:
    assert {path.name for path in UNIT_TESTS} == {path.name for path in RULES} | {STORIES}


def expectations() -> dict[str, list[list[tuple[float, int]]]]:
    """Return for each alert its unit tests: the times that are looked at, and how many alerts fire then."""
    found: dict[str, list[list[tuple[float, int]]]] = {}
    for path in UNIT_TESTS:
        for test in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]:
            for name in {each["alertname"] for each in test.get("alert_rule_test", [])}:
                looks = [
                    (seconds(str(each["eval_time"])), len(each["exp_alerts"]))
                    for each in test["alert_rule_test"]
                    if each["alertname"] == name
                ]
                found.setdefault(name, []).append(sorted(looks))
    return found


def seconds(text: str) -> float:
    units = {"s": 1, "m": 60, "h": 3600}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smh])", text))


@pytest.mark.parametrize("name", [each for each in NAMES if each != ALWAYS])
def test_every_alert_is_shown_to_wait_to_fire_and_to_resolve(name: str) -> None:
    counts = [[count for _, count in looks] for looks in expectations()[name]]
    assert any(each[0] == 0 and max(each) > each[-1] for each in counts)


@pytest.mark.parametrize("rule", [*rules()], ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_series_and_labels_that_there_are(
    known: dict[str, Family], rule: dict[str, Any]
) -> None:
    labels = labels_of(parse(rule["expr"]), labels_by_name(known))
    told = set(re.findall(r"\$labels\.(\w+)", str(rule.get("annotations", ""))))
    assert told <= labels
    for use in uses(parse(rule["expr"])):
        family = known[
            re.sub(r"_(bucket|sum|count)$", "", use.metric) if use.metric not in known else use.metric
        ]
        if use.function == BORN or use.function in RATES:
            assert family.type in {"counter", "histogram"}, use.metric
        elif family.type in {"counter", "histogram"}:
            assert use.metric in SHOWN_AS_THEY_ARE, use.metric


def test_recording_rules_are_named_by_level_metric_and_operation_and_are_used() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {use.metric for rule in rules() for use in uses(parse(rule["expr"]))}
    for name in recorded:
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z_0-9]+", name)
    assert recorded <= used


@pytest.mark.parametrize("rule", [*rules()], ids=lambda rule: rule.get("alert") or rule["record"])
def test_nothing_is_divided_by_what_may_be_0(rule: dict[str, Any]) -> None:
    divisions = re.findall(r"/\s*(\((?:[^()]|\([^()]*(?:\([^()]*\)[^()]*)*\))*\)|\S+)", rule["expr"])
    for divisor in divisions:
        assert re.search(r"> 0\)$", divisor), divisor


@pytest.mark.parametrize("rule", FIRING, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")
def test_what_looks_back_does_not_wait_as_well(rule: dict[str, Any]) -> None:
    if re.search(r"\b(increase|changes|\w+_over_time)\(", rule["expr"]):
        assert "for" not in rule


@pytest.mark.parametrize("rule", FIRING, ids=lambda rule: f"{rule['alert']} {rule['labels']['severity']}")
def test_an_alert_says_what_is_the_matter_and_where_to_go(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert said.keys() == {"summary", "description", "runbook_url", "dashboard_url"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}
    assert re.fullmatch(r"[A-Z][^{}]+\.", said["summary"]), "one sentence, the same for all"
    assert said["description"].endswith(".")
    if rule["alert"] != ALWAYS:
        assert "{{ $" in said["description"]
    assert said["runbook_url"] == GRAFANA + address(rule["alert"])
    check_address(re.sub(r"\{\{.*?\}\}", "x", said["dashboard_url"]).removeprefix(GRAFANA))


def test_rules_of_one_name_differ_in_severity() -> None:
    kinds = [(rule["alert"], rule["labels"]["severity"]) for rule in FIRING]
    assert len(set(kinds)) == len(kinds)


def test_the_pages_list_every_alert() -> None:
    page = (ALERTS.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
    listed = re.findall(
        r"^\| \[(\w+)\]\(\.\./alerts/runbooks/(\w+)\.md\) \| (\w+) \| (\S+) \|", page, re.MULTILINE
    )
    assert {(name, severity, wait) for name, _, severity, wait in listed} == {
        (rule["alert"], rule["labels"]["severity"], rule.get("for", "-")) for rule in FIRING
    }
    assert all(name == runbook for name, runbook, _, _ in listed)
