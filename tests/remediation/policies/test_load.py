from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose_agent.errors import ConfigError
from compose_agent.matchers import Matcher
from remediation.actions import ACTIONS
from remediation.model import TargetKind
from remediation.policies.load import Policies, load_policies, reloaded
from remediation.policies.model import (
    Condition,
    Limits,
    Policy,
    Rate,
    Step,
    TargetRule,
    Verification,
)
from remediation.policies.windows import parse_window

SERVICE = TargetKind.SERVICE
SHORTEST = """\
policies:
  unhealthy:
    match: alertname="ContainerUnhealthy"
    action: restart
"""
LONGEST = """\
policies:
  web.2:
    match:
      - '{alertname=~"Slow|Stuck", severity!="info"}'
      - team="shop"
    target:
      kind: container
      labels: {name: container}
      only: shop-.+
      allow: [legacy-*, "old?"]
    condition: running
    action: exec
    with:
      name: drop-caches
      timeout: 20s
    escalate:
      - restart
      - action: kill
        with: {signal: hup}
      - action: http
        with:
          url: https://pager.example.org/v1/page
          body: '{"text": "${alertname} of ${name}, $$5"}'
          header: X-Token
          header-file: /run/secrets/pager
    limits:
      per-target: none
      per-service: 1/1h30m
      replicas-share: 33.3 %
      backoff: 1s..1m
      breaker: 5/1h
    verify:
      holds: 0
      within: 30s
      resolved: yes
      query: up{job="shop"}
    dry-run: true
    approval: on
    windows:
      - Mo-Fr 22:00-06:00 Europe/Berlin
      - Sat,Sun
    during-deployment: true
    patience: 1m
    episode-ttl: 2h
"""


def load(tmp_path: Path, text: str) -> Policies:
    path = tmp_path / "policies.yml"
    path.write_text(text, encoding="utf-8")
    return load_policies(path)


def only(tmp_path: Path, text: str) -> Policy:
    (policy,) = load(tmp_path, text).policies
    return policy


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, text)
    return [str(problem).replace(str(tmp_path / "policies.yml"), "F") for problem in raised.value.problems]


def test_what_is_left_out_is_as_the_model_has_it(tmp_path: Path) -> None:
    assert only(tmp_path, SHORTEST) == Policy(
        name="unhealthy",
        match=(Matcher("alertname", "=", "ContainerUnhealthy"),),
        target=TargetRule(TargetKind.CONTAINER),
        ladder=(Step("restart"),),
    )


def test_every_key_is_read(tmp_path: Path) -> None:
    http = {
        "url": "https://pager.example.org/v1/page",
        "method": "POST",
        "body": '{"text": "${alertname} of ${name}, $$5"}',
        "header": "X-Token",
        "header-file": "/run/secrets/pager",
        "timeout": 10.0,
    }
    assert only(tmp_path, LONGEST) == Policy(
        name="web.2",
        match=(
            Matcher("alertname", "=~", "Slow|Stuck"),
            Matcher("severity", "!=", "info"),
            Matcher("team", "=", "shop"),
        ),
        target=TargetRule(
            TargetKind.CONTAINER, {"name": "container"}, only="shop-.+", allow=("legacy-*", "old?")
        ),
        ladder=(
            Step("exec", {"name": "drop-caches", "timeout": 20.0}),
            Step("restart"),
            Step("kill", {"signal": "SIGHUP"}),
            Step("http", http),
        ),
        condition=Condition.RUNNING,
        limits=Limits(None, Rate(1, 5400.0), 33.3 / 100, 1.0, 60.0, 5, 3600.0),
        verify=Verification(0.0, 30.0, resolved=True, query='up{job="shop"}'),
        dry_run=True,
        approval=True,
        windows=(parse_window("Mo-Fr 22:00-06:00 Europe/Berlin"), parse_window("Sat,Sun")),
        during_deployment=True,
        patience=60.0,
        episode_ttl=7200.0,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("service", TargetRule(SERVICE)),
        ("{kind: service, labels: {project: p}}", TargetRule(SERVICE, {"project": "p"})),
        ("{kind: swarm-service}", TargetRule(TargetKind.SWARM_SERVICE)),
        ("{kind: service, selector: {tier: web}}", TargetRule(SERVICE, {}, {"tier": "web"})),
        ("{allow: db}", TargetRule(TargetKind.CONTAINER, allow=("db",))),
    ],
)
def test_a_target_has_forms(tmp_path: Path, text: str, expected: TargetRule) -> None:
    action = "swarm-update" if expected.kind is TargetKind.SWARM_SERVICE else "restart"
    text = f"policies: {{p: {{match: a=b, target: {text}, action: {action}}}}}"
    assert only(tmp_path, text).target == expected


def test_verification_can_be_left_out(tmp_path: Path) -> None:
    assert only(tmp_path, f"{SHORTEST}    verify: none\n").verify is None


def test_no_policies_can_be_said(tmp_path: Path) -> None:
    assert load(tmp_path, "policies: {}\n").policies == ()


MATCH = 'expected matchers such as alertname="Down", severity=~"crit.*|page"'
NAMES = ", ".join(ACTIONS)
NO_NAME = "is no name of a policy: expected up to 63 of a-z, 0-9 and . _ -, a letter or digit first"
SECTIONS = "policies, queries, scale"
MISSING = "F:1: policies is missing or empty, expected a mapping of policies by name, or {} for none"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [MISSING]),
        ("policies:\n", [MISSING]),
        ("- a\n", ["F:1: the file is a list, expected a mapping", MISSING]),
        ("policies: [a]\n", ["F:1: policies is a list, expected a mapping"]),
        (
            "polices: {}\n",
            [
                MISSING,
                f"F:1: unknown key 'polices', expected one of {SECTIONS}, did you mean 'policies'?",
            ],
        ),
        (
            "policies:\n  p:\n",
            [
                f"F:2: policies.p has no match, {MATCH}",
                f"F:2: policies.p has no action, expected one of {NAMES}",
            ],
        ),
        (
            "policies:\n  P x:\n    match: a=b\n    action: restart\n",
            [f"F:2: 'P x' {NO_NAME}"],
        ),
        ("policies:\n  p: {}\n  p: {}\n", ["F:3: 'p' stands here a second time"]),
    ],
)
def test_a_file_of_the_wrong_shape_is_refused(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert sorted(problems(tmp_path, text)) == sorted(expected)


def wrong() -> Iterator[tuple[str, str]]:
    """Yield the lines of wrong.txt that are wrong, each with what is said about it."""
    text = (Path(__file__).parent / "wrong.txt").read_text(encoding="utf-8")
    for entry in text.split("\n\n")[1:]:
        line, expected = entry.strip().split("\n")
        yield line, expected.strip().replace("{actions}", NAMES)


@pytest.mark.parametrize(("line", "expected"), list(wrong()))
def test_a_value_that_is_wrong_is_refused_with_its_place(tmp_path: Path, line: str, expected: str) -> None:
    others = {"match": "match: a=b", "action": "action: restart"}
    given = line.partition(":")[0]
    lines = [text for key, text in others.items() if key != given]
    found = problems(tmp_path, "\n    ".join(["policies:\n  p:", *lines, line]) + "\n")
    assert found == [f"F:{3 + len(lines)}: {expected}"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{by: 1}", None),
        ("{by: -2, min: 2}", None),
        ("{by: +2}", None),
        ("{to: 3}", None),
        ("{to: min, min: 2, max: 2}", None),
        ("{}", "policies.p.with: expected to, a number of replicas, or by, a difference"),
        ("{by: 1, to: 2}", "policies.p.with: expected either to or by"),
        ("{by: 0}", "policies.p.with.by: expected a number of replicas such as 1 or -1, up to 500, not '0'"),
        ("{to: 0}", "policies.p.with.to: expected a whole number from 1 to 500, or min or max, not '0'"),
        ("{to: all}", "policies.p.with.to: expected a whole number from 1 to 500, or min or max, not 'all'"),
        ("{to: 4}", "policies.p.with: to 4 is not within min 1 and max 3"),
        ("{by: 1, min: 4}", "policies.p.with: min 4 is more than max 3"),
        (
            "{by: 1, through: docker}",
            "policies.p.with.through: expected one of auto, engine, cli, not 'docker'",
        ),
    ],
)
def test_scaling_says_to_how_many_or_by_how_many(tmp_path: Path, text: str, expected: str | None) -> None:
    text = f"policies:\n  p:\n    match: a=b\n    target: service\n    action: scale\n    with: {text}\n"
    if expected is None:
        assert only(tmp_path, text).ladder[0].action == "scale"
    else:
        assert problems(tmp_path, text) == [f"F:6: {expected}"]


def test_all_that_is_wrong_is_said_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
policies:
  a:
    match: x=
    patience: never
    action: restart
  b:
    dry_run: true
    match: x=y
    limits:
      backoff: 1s..
    action: restart
"""
    assert [re.sub(r": .*", "", each) for each in problems(tmp_path, text)] == ["F:3", "F:4", "F:7", "F:10"]


@pytest.mark.parametrize("text", ["policies: {p: {match: a=b, action: restart, with: *x}}", "policies: {"])
def test_what_is_no_yaml_is_refused(tmp_path: Path, text: str) -> None:
    assert "is not valid YAML" in problems(tmp_path, text)[0]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yml: cannot be read: No such file"):
        load_policies(tmp_path / "none.yml")


def test_policies_match_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
policies:
  z: {match: 'alertname="A"', action: restart}
  y: {match: ['alertname=~"A|B"', 'severity!="info"'], action: stop}
  x: {match: 'alertname="C"', action: stop}
"""
    found = load(tmp_path, text)

    def names(**labels: str) -> list[str]:
        return [policy.name for policy in found.matching(labels)]

    assert names(alertname="A") == ["z", "y"]
    assert names(alertname="A", severity="info") == ["z"]
    assert names(alertname="B") == ["y"]
    assert names() == []
    assert found.named("x") is found.policies[2]
    assert found.named("w") is None


def test_policies_that_say_the_same_stay_the_same_objects(tmp_path: Path) -> None:
    before = load(tmp_path, SHORTEST)
    assert reloaded(before, before.file) is before
    before.file.write_text(f"# A comment.\n{SHORTEST}  other:\n    match: a=b\n    action: stop\n")
    after = reloaded(before, before.file)
    assert after.revision != before.revision
    assert after.policies[0] is before.policies[0]
    assert [policy.name for policy in after.policies] == ["unhealthy", "other"]
    before.file.write_text("policies: 5\n")
    with pytest.raises(ConfigError, match=r"policies\.yml:1: policies is the number 5"):
        reloaded(after, before.file)
