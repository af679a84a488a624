from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compose_agent.matchers import MOST_CHARACTERS, OPERATORS, Matcher, matchers, parse_matchers
from lab.alertmanager import amtool

# Without the syntax of versions before 0.27 to fall back on.
STRICT = ("--enable-feature=utf8-strict-mode",)
EQUAL, NOT_EQUAL, REGEX, NOT_REGEX = OPERATORS

# What Alertmanager's own tests call right, and what more its syntax takes.
RIGHT = {
    "{foo=bar}": [("foo", EQUAL, "bar")],
    "{foo=bar,}": [("foo", EQUAL, "bar")],
    "{foo!=bar}": [("foo", NOT_EQUAL, "bar")],
    "{foo=~[a-z]+}": [("foo", REGEX, "[a-z]+")],
    "{foo!~[a-z]+}": [("foo", NOT_REGEX, "[a-z]+")],
    "{foo=🙂}": [("foo", EQUAL, "🙂")],
    "{foo=🙂bar}": [("foo", EQUAL, "🙂bar")],
    "foo=bar": [("foo", EQUAL, "bar")],
    "foo=bar,": [("foo", EQUAL, "bar")],
    "foo!=bar": [("foo", NOT_EQUAL, "bar")],
    "foo=~[a-z]+": [("foo", REGEX, "[a-z]+")],
    "foo!~[a-z]+": [("foo", NOT_REGEX, "[a-z]+")],
    '{"foo"="bar"}': [("foo", EQUAL, "bar")],
    '{"foo"=~"[a-z]+",}': [("foo", REGEX, "[a-z]+")],
    r'{"foo"="\xf0\x9f\x99\x82"}': [("foo", EQUAL, "🙂")],
    r'{"foo"="\360\237\231\202"}': [("foo", EQUAL, "🙂")],
    r'{"foo"="\U0001f642"}': [("foo", EQUAL, "🙂")],
    r'{"foo"="\u00e9"}': [("foo", EQUAL, "é")],
    r'{"foo"="bar\n"}': [("foo", EQUAL, "bar\n")],
    r'{"foo"="\a\b\f\n\r\t\v"}': [("foo", EQUAL, "\a\b\f\n\r\t\v")],
    r'{"foo"="\"bar\""}': [("foo", EQUAL, '"bar"')],
    r'{"foo"="bar\\"}': [("foo", EQUAL, "bar\\")],
    r'foo=~"\\d+"': [("foo", REGEX, r"\d+")],
    '"föö bär"="x y"': [("föö bär", EQUAL, "x y")],
    "föö=bär": [("föö", EQUAL, "bär")],
    'foo=""': [("foo", EQUAL, "")],
    'foo=~""': [("foo", REGEX, "")],
    "{foo=bar,bar!=baz}": [("foo", EQUAL, "bar"), ("bar", NOT_EQUAL, "baz")],
    'foo="bar",bar!="baz"': [("foo", EQUAL, "bar"), ("bar", NOT_EQUAL, "baz")],
    ' { foo = "a,b" , bar =~ c|d } ': [("foo", EQUAL, "a,b"), ("bar", REGEX, "c|d")],
    'alertname="ContainerUnhealthy"': [("alertname", EQUAL, "ContainerUnhealthy")],
    'severity=~"crit.*|page"': [("severity", REGEX, "crit.*|page")],
}
NO_LIST = "'{}' is no list of matchers: expected {} at character {}"
EXPECTED = 'expected matchers such as alertname="Down", severity=~"crit.*|page", not '
NAME, OPERATOR, VALUE = "the name of a label", "one of = != =~ !~", "a value, in double quotes"
ESCAPES = "a text with the escapes of Go in UTF-8"
MORE = "',' and another matcher, or the end"
WRONG = {
    "": EXPECTED + "''",
    "{}": EXPECTED + "'{}'",
    ",": NO_LIST.format(",", NAME, 1),
    "{,}": NO_LIST.format("{,}", NAME, 2),
    "{": NO_LIST.format("{", NAME, 2),
    "}": NO_LIST.format("}", NAME, 1),
    "foo": NO_LIST.format("foo", OPERATOR, 4),
    "foo=": NO_LIST.format("foo=", VALUE, 5),
    "=bar": NO_LIST.format("=bar", NAME, 1),
    "foo==bar": NO_LIST.format("foo==bar", VALUE, 5),
    "foo!bar": NO_LIST.format("foo!bar", OPERATOR, 4),
    "foo=bar}": NO_LIST.format("foo=bar}", MORE, 8),
    "foo=bar baz=x": NO_LIST.format("foo=bar baz=x", MORE, 9),
    "foo=bar,,": NO_LIST.format("foo=bar,,", MORE, 9),
    "{foo=bar": NO_LIST.format("{foo=bar", "',' or '}'", 9),
    "{foo=bar} x": NO_LIST.format("{foo=bar} x", MORE, 11),
    '{foo=:"bar"}': NO_LIST.format('{foo=:"bar"}', "',' or '}'", 7),
    r'{foo="bar\w"}': NO_LIST.format(r'{foo="bar\w"}', ESCAPES, 6),
    r"{foo=bar\n}": NO_LIST.format(r"{foo=bar\n}", "',' or '}'", 9),
    r'foo="\xf0\x9f"': NO_LIST.format(r'foo="\xf0\x9f"', ESCAPES, 5),
    r'foo="\ud800"': NO_LIST.format(r'foo="\ud800"', ESCAPES, 5),
    r'foo="\777"': NO_LIST.format(r'foo="\777"', ESCAPES, 5),
    r'foo="\'"': NO_LIST.format(r'foo="\'"', ESCAPES, 5),
    'foo="bar': NO_LIST.format('foo="bar', VALUE, 5),
    'foo="a\nb"': NO_LIST.format('foo="a\nb"', VALUE, 5),
    "foo='bar'": NO_LIST.format("foo='bar'", VALUE, 5),
    'foo=~"a("': "'a(' is no regular expression: missing ), unterminated subpattern at character 2",
}


@pytest.mark.parametrize(("text", "expected"), RIGHT.items())
def test_a_list_is_read_as_alertmanager_reads_it(text: str, expected: list[tuple[str, str, str]]) -> None:
    assert parse_matchers(text) == tuple(Matcher(*each) for each in expected)


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_what_is_no_list_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"expected|regular") as raised:
        matchers.read(text)
    assert str(raised.value) == message


@given(st.text(min_size=1), st.sampled_from([EQUAL, NOT_EQUAL]), st.text())
def test_what_is_written_is_read_again(label: str, operator: str, value: str) -> None:
    matcher = Matcher(label, operator, value)
    assert parse_matchers(str(matcher)) == (matcher,)


@given(st.text("{}!=~,\\\"'` \nab\u00e9x01"))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = matchers.read(text)
    except ValueError:
        return
    assert found


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("a=b", {"a": "b"}, True),
        ("a=b", {"a": "bb"}, False),
        ("a=b", {}, False),
        ('a=""', {}, True),
        ("a!=b", {}, True),
        ("a!=b", {"a": "b"}, False),
        ("a=~b|c.*", {"a": "cd"}, True),
        ("a=~b|c.*", {"a": "bd"}, False),
        ("a=~b", {"a": "ab"}, False),
        ("a=~.*", {}, True),
        ("a=~.+", {}, False),
        ("a!~b.*", {"a": "bx"}, False),
        ("a!~b.*", {}, True),
        ("a=~.*", {"a": "x\ny"}, False),
        ('a=~"(?s).*"', {"a": "x\ny"}, True),
        ("a=~(?i)crit", {"a": "CRIT"}, True),
    ],
)
def test_a_matcher_holds_or_not(text: str, labels: dict[str, str], holds: bool) -> None:
    (matcher,) = parse_matchers(text)
    assert matcher.matches(labels) is holds


@pytest.mark.parametrize(
    ("operator", "holds"), [(EQUAL, False), (NOT_EQUAL, True), (REGEX, False), (NOT_REGEX, False)]
)
def test_a_value_that_is_too_long_is_chosen_by_no_expression(operator: str, holds: bool) -> None:
    long = "x" * (MOST_CHARACTERS + 1)
    assert Matcher("a", operator, ".*y").matches({"a": long}) is holds
    assert Matcher("a", EQUAL, long).matches({"a": long})
    assert Matcher("a", REGEX, "x*").matches({"a": long[1:]})


def test_a_hostile_value_takes_no_long_time() -> None:
    matcher = Matcher("a", REGEX, "(x+x+)+y")
    begin = time.process_time()
    assert not matcher.matches({"a": "x" * MOST_CHARACTERS})
    assert time.process_time() - begin < 5


LABELS = [
    {"alertname": "ContainerUnhealthy", "severity": "critical"},
    {"foo": "bar", "bar": "baz"},
    {"foo": "🙂", "föö": "bär"},
    {"foo": "a,b", "bar": "c", "föö bär": "x y"},
    {"foo": "abc"},
    {"foo": "12"},
    {},
]


@pytest.mark.engine
def test_alertmanager_reads_and_routes_the_same(tmp_path: Path) -> None:
    config = tmp_path / "alertmanager.yml"
    receivers = {f"r{number}": text for number, text in enumerate(RIGHT)}
    routes = [{"receiver": name, "continue": True, "matchers": [text]} for name, text in receivers.items()]
    names = [{"name": "none"}, *({"name": name} for name in receivers)]
    whole = {"route": {"receiver": "none", "routes": routes}, "receivers": names}
    config.write_text(json.dumps(whole, ensure_ascii=False))
    for labels in LABELS:
        given = [str(Matcher(label, EQUAL, value)) for label, value in labels.items()]
        answer = amtool("config", "routes", "test", *STRICT, f"--config.file={config}", *given)
        assert answer.returncode == 0, answer.stderr
        expected = [
            name
            for name, text in receivers.items()
            if all(matcher.matches(labels) for matcher in parse_matchers(text))
        ]
        assert answer.stdout.strip().split("\n")[-1].split(",") == (expected or ["none"]), labels


@pytest.mark.engine
@pytest.mark.parametrize("text", [text for text in WRONG if text.strip("{}")])
def test_alertmanager_refuses_the_same(tmp_path: Path, text: str) -> None:
    config = tmp_path / "alertmanager.yml"
    routes = [{"receiver": "r", "matchers": [text]}]
    config.write_text(
        json.dumps({"route": {"receiver": "r", "routes": routes}, "receivers": [{"name": "r"}]})
    )
    answer = amtool("check-config", *STRICT, str(config))
    assert answer.returncode != 0, text
