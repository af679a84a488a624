"""Labels and configuration."""

from __future__ import annotations

import pytest

from compose_agent.errors import ConfigError
from log_forwarder.event import Event
from log_forwarder.transforms import Pipeline, make_pipeline, problems_of
from tests.log_forwarder.making import container
from tests.log_forwarder.transforms.building import Counted, event, settings

# A value for each key, with a line that it changes.
HINTS = {
    "multiline": ("^1", "1 a"),
    "redact": ("email", "a@b.example"),
    "redact-pattern": (r"cust-\d+", "cust-12"),
    "parser": ("json", '{"a":1}'),
    "parser-regex": (r"(?P<word>\w+)", "text"),
    "level": ("auto", "ERROR x"),
    "timestamp": ("auto", "2026-01-02T03:04:05Z x"),
    "trace": ("auto", "trace_id=4bf92f3577b34da6a3ce929d0e0e4736"),
    "include-lines": ("^x", "y"),
    "exclude-lines": ("^y", "y"),
    "sample": ("0", "x"),
    "rate-limit": ("1/h", "x"),
}


def made(labels: dict[str, str], **given: object) -> tuple[Pipeline, list[str]]:
    box = container(name="web-1", labels={f"compose-agent.logs.{key}": text for key, text in labels.items()})
    return make_pipeline(settings(**given), box, Counted().counters())


def out_of(found: Pipeline, log: str) -> list[Event]:
    return found.apply([event(log), event(log, 1)])


@pytest.mark.parametrize("key", HINTS)
def test_a_hint_changes_its_container_and_no_other(key: str) -> None:
    value, log = HINTS[key]
    hinted, problems = made({key: value})
    other, _ = made({})
    assert problems == []
    assert out_of(hinted, log) != [event(log), event(log, 1)]
    assert other.empty
    assert out_of(other, log) == [event(log), event(log, 1)]


def test_every_key_has_a_hint() -> None:
    from log_forwarder.transforms.registry import options  # noqa: PLC0415

    assert {*HINTS, "multiline-timeout"} == {option.key for option in options()}


def test_a_label_stands_above_the_configuration() -> None:
    found, _ = made({"redact": "ips"}, redact="email")
    assert [each.log for each in out_of(found, "a@b.example 10.0.0.1")] == ["a@b.example [REDACTED:ips]"] * 2


@pytest.mark.parametrize("text", ["none", "NONE", "", " "])
def test_a_label_switches_off_what_the_configuration_asks_for(text: str) -> None:
    found, problems = made({"parser": text}, parser="json")
    assert found.empty
    assert problems == []


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"parser": "jsn"}, "label compose-agent.logs.parser: expected one of json, logfmt, common, "),
        ({"parser": "jsn"}, "not 'jsn', did you mean 'json'?"),
        ({"parsr": "json"}, "label compose-agent.logs.parsr: there is no such label, did you mean "),
        ({"parsr": "json"}, "did you mean 'compose-agent.logs.parser'?"),
        ({"multiline": "pyton"}, "not 'pyton', did you mean 'python'?"),
        (
            {"multiline": "^("},
            "'^(' is no regular expression: missing ), unterminated subpattern at character 2",
        ),
        ({"exclude-lines": "a**"}, "'a**' is no regular expression: multiple repeat at character 3"),
        ({"include-lines": "[[a]"}, "is no regular expression: Possible nested set"),
        ({"redact": "tokens,mails"}, "not 'mails', did you mean 'email'?"),
        ({"redact-pattern": "ok\n("}, "'(' is no regular expression"),
        ({"sample": "2"}, "expected a share from 0 to 1 such as 0.25 or 1/10, not '2'"),
        ({"sample": "1/0"}, "expected a share from 0 to 1"),
        ({"rate-limit": "fast"}, "expected a rate such as 100/s, 600/m or 1000/h, not 'fast'"),
        ({"multiline-timeout": "0"}, "expected a duration above 0"),
        ({"level": "debug"}, "expected one of auto"),
        ({"exclude-lines": "x" * 3000}, "expected at most 2000 characters"),
        ({"trigger.oom": "("}, "label compose-agent.logs.trigger.oom: '(' is no regular expression"),
        ({"trigger.o m": "x"}, "label compose-agent.logs.trigger.o m: 'o m' is no name"),
        ({"trigger.": "x"}, "'' is no name"),
        ({"triger.oom": "x"}, "did you mean 'compose-agent.logs.trigger.NAME'?"),
        ({"trigger.oom": "x" * 3000}, "expected at most 2000 characters"),
        ({"parser": "regex"}, "parser is regex, but there is no parser-regex"),
        ({"parser": "regex", "parser-regex": r"(\w+)"}, "parser-regex has no named group"),
    ],
)
def test_a_label_that_cannot_be_used_is_told_and_the_configuration_counts(
    labels: dict[str, str], said: str
) -> None:
    given = {"parser": "logfmt", "redact": "ips"}
    found, problems = made(labels, **given)
    (problem,) = problems
    assert problem.startswith("container web-1: ")
    assert said in problem
    (got, _) = out_of(found, "a=1 ip=10.0.0.1")
    assert got.fields == {"a": "1", "ip": "[REDACTED:ips]"}


def test_labels_of_others_are_no_mistake() -> None:
    box = container(labels={"compose-agent.logs": "true", "compose-agent.logs.tags": "a", "other": "x"})
    found, problems = make_pipeline(settings(), box, Counted().counters())
    assert found.empty
    assert problems == []


@pytest.mark.parametrize("text", ["out of memory", "none", ""])
def test_a_trigger_is_no_transform_and_no_mistake(text: str) -> None:
    found, problems = made({"trigger.oom": text})
    assert found.empty
    assert problems == []


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("parser", "xml", "expected one of json, "),
        ("exclude_lines", "(", "'(' is no regular expression"),
        ("redact", ["tokens", "cars"], "did you mean 'cards'?"),
        ("sample", "nan", "expected a share"),
    ],
)
def test_a_wrong_value_in_the_configuration_is_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(**{key: value})
    assert said in str(caught.value)


def test_values_of_the_configuration_that_do_not_go_together_are_told() -> None:
    assert problems_of(settings(parser="regex")) == ["parser is regex, but there is no parser-regex"]
    assert problems_of(settings(parser="json")) == []
    found, problems = made({}, parser="regex")
    assert found.empty
    assert problems == ["container web-1: parser is regex, but there is no parser-regex"]
