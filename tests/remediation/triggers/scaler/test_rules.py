from __future__ import annotations

from collections.abc import Mapping

import pytest

from compose_agent.config.yamlfile import parse
from compose_agent.dockerd.model import Container
from remediation.policies.reading import Reading
from remediation.triggers.scaler.behaviour import DEFAULT, Behaviour, Direction, RateLimit, Select
from remediation.triggers.scaler.rules import OPTIONS, Aim, ScaleRule, read_rules, rules_of

KEY = ("shop", "web")
BASE = {"metric": "cpu", "target": "60%", "max": "5"}


def container(name: str = "shop-web-1", made: float = 1.0, scale: Mapping[str, str] = BASE) -> Container:
    labels = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        **{f"compose-agent.scale.{key.replace('_', '-')}": text for key, text in scale.items()},
    }
    return Container(name, name, "web:1", "", "running", created_at=made, labels=labels)


def test_three_labels_make_a_rule_with_the_defaults_of_kubernetes() -> None:
    rules, problems = rules_of([container()])
    assert rules == {KEY: ScaleRule("shop", "web", "cpu", Aim(60.0, percent=True), 1, 5)}
    assert rules[KEY].behaviour == DEFAULT
    assert rules[KEY].tolerance == 0.1
    assert problems == {}


def test_every_label_is_read() -> None:
    given = {
        **BASE,
        "metric": "sum(rate(x[1m]))",
        "target": "12.5",
        "min": "2",
        "tolerance": "5%",
        "up_window": "30s",
        "down_window": "1m",
        "up_rate": "2/30s",
        "down_rate": "1/1m, 10%/2m",
        "up_select": "min",
        "down_select": "disabled",
    }
    rules, problems = rules_of([container(scale=given)])
    up = Direction(30.0, (RateLimit(2, 30.0),), Select.MIN)
    down = Direction(60.0, (RateLimit(1, 60.0), RateLimit(10, 120.0, percent=True)), Select.DISABLED)
    expected = ScaleRule("shop", "web", "sum(rate(x[1m]))", Aim(12.5), 2, 5, 0.05, Behaviour(up, down))
    assert (rules, problems) == ({KEY: expected}, {})
    assert rules[KEY].is_query
    assert {f"scale.{key.replace('_', '-')}" for key in given} == {option.key for option in OPTIONS}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"target": "0"},
            "expected a number above 0, a share such as 60%, or a size such as 256MiB, not '0'",
        ),
        ({"target": "much"}, "not 'much'"),
        ({"target": "60 %"}, "not '60 %'"),
        ({"min": "9"}, "min 9 is more than max 5"),
        ({"max": "501"}, "a whole number from 1 to 500"),
        ({"tolerance": "0.1"}, "a share below 100%, such as 10%"),
        ({"up_rate": "4"}, "a rate such as 4/15s or 100%/15s"),
        ({"up_rate": "0/15s"}, "a rate such as"),
        ({"up_rate": "4/0"}, "a rate such as"),
        ({"up_select": "most"}, "expected one of max, min, disabled, not 'most'"),
        ({"up_windows": "1m"}, "did you mean 'compose-agent.scale.up-window'?"),
        ({"metric": "up"}, "a share as target is for cpu and memory"),
        ({"metric": "x" * 3000}, "expected at most 2000 characters"),
    ],
)
def test_labels_that_cannot_be_used_are_named_and_make_no_rule(change: dict[str, str], said: str) -> None:
    rules, problems = rules_of([container(scale={**BASE, **change})])
    assert rules == {}
    assert said in problems["shop-web-1"]


@pytest.mark.parametrize("missing", ["target", "max"])
def test_a_rule_needs_three_labels(missing: str) -> None:
    rules, problems = rules_of([container(scale={key: text for key, text in BASE.items() if key != missing})])
    assert rules == {}
    assert f"{missing} is missing" in problems["shop-web-1"]


def test_bounds_alone_are_no_rule_and_nothing_wrong() -> None:
    assert rules_of([container(scale={"min": "1", "max": "3"})]) == ({}, {})


def test_the_youngest_container_speaks_for_its_service() -> None:
    old, young = container("a"), container("b", 2.0, {**BASE, "max": "9"})
    assert rules_of([young, old])[0][KEY].most == 9
    assert rules_of([container("b", 2.0, {}), old])[0] == {}


@pytest.mark.parametrize(
    ("text", "aim"),
    [
        ("60%", Aim(60.0, percent=True)),
        ("1.5", Aim(1.5)),
        ("256MiB", Aim(256.0 * 2**20)),
        ("300", Aim(300.0)),
    ],
)
def test_targets(text: str, aim: Aim) -> None:
    assert rules_of([container(scale={**BASE, "target": text})])[0][KEY].aim == aim


def read(text: str) -> tuple[tuple[ScaleRule, ...], list[str]]:
    reading = Reading("f.yml")
    found = read_rules(reading, parse(text, "f.yml"))
    return found, [str(each) for each in reading.problems]


def test_rules_of_a_file_have_the_same_keys() -> None:
    (rule,), problems = read("shop/web: {metric: memory, target: 256MiB, max: 4, up-rate: [1/30s]}\n")
    assert problems == []
    assert rule.behaviour.up.limits == (RateLimit(1, 30.0),)
    assert (rule.project, rule.service, rule.metric, rule.most) == ("shop", "web", "memory", 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- 1\n", "f.yml:1: scale is a list, expected a mapping"),
        ("a/b: 3\n", "f.yml:1: scale.a/b is the number 3, expected a mapping"),
        (
            "web: {metric: cpu, target: 60%, max: 4}\n",
            "f.yml:1: scale.web: expected a service as project/service",
        ),
        ("a/b:\n  metric: cpu\n  target: 60%\n  maxx: 4\n", "f.yml:4: unknown key 'maxx' in scale.a/b"),
        ("a/b:\n  metric: cpu\n  target: much\n", "f.yml:3: scale.a/b.target: expected a number"),
        ("a/b:\n  metric: cpu\n  target: 1\n", "f.yml:1: scale.a/b: max is missing"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_line(text: str, said: str) -> None:
    found, problems = read(text)
    assert found == ()
    assert any(each.startswith(said) for each in problems), problems


def test_no_section_is_no_rule() -> None:
    assert read_rules(Reading("f.yml"), None) == ()
