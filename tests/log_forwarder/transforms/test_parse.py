from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.transforms import access, jsonline, logfmt
from log_forwarder.transforms.contract import Unusable
from log_forwarder.transforms.parse import PARSERS, TRANSFORM
from log_forwarder.transforms.patterns import MOST_CHARACTERS
from tests.log_forwarder.transforms.building import Counted, event, fields_of, pipeline

COMMON = '203.0.113.9 - anna [02/Jan/2026:03:04:05 +0100] "GET /orders?id=1 HTTP/1.1" 200 5316'
COMBINED = f'{COMMON} "https://shop.example/" "Mozilla/5.0 (X11; \\"Linux\\")"'
ACCESS = {
    "remote_addr": "203.0.113.9",
    "remote_user": "anna",
    "time_local": "02/Jan/2026:03:04:05 +0100",
    "request": "GET /orders?id=1 HTTP/1.1",
    "request_method": "GET",
    "request_uri": "/orders?id=1",
    "server_protocol": "HTTP/1.1",
    "status": 200,
    "body_bytes_sent": 5316,
}
AGENT = {"http_referer": "https://shop.example/", "http_user_agent": 'Mozilla/5.0 (X11; \\"Linux\\")'}


@pytest.mark.parametrize(
    ("parser", "line", "fields"),
    [
        ("json", '{"level":"info","n":1.5,"o":{"a":[1]}}', {"level": "info", "n": 1.5, "o": {"a": [1]}}),
        ("json", '  {"a":null}  ', {"a": None}),
        ("json", '{"":1,"a":2}', {"a": 2}),
        ("logfmt", 'a=1 b="two words" c= d.e=x=y', {"a": "1", "b": "two words", "c": "", "d.e": "x=y"}),
        ("logfmt", r'msg="say \"hi\"\n" up', {"msg": 'say "hi"\n'}),
        ("common", COMMON, ACCESS),
        ("common", COMBINED, ACCESS),
        ("combined", COMBINED, ACCESS | AGENT),
        ("combined", f'{COMBINED} "10.0.0.1" 0.003', ACCESS | AGENT),
        (
            "combined",
            '::1 - - [02/Jan/2026:03:04:05 +0000] "\\x16\\x03" 400 - "-" "-"',
            {
                "remote_addr": "::1",
                "time_local": "02/Jan/2026:03:04:05 +0000",
                "request": "\\x16\\x03",
                "status": 400,
            },
        ),
        (
            "cri",
            "2026-01-02T03:04:05.123456789+01:00 stderr F text of it",
            {
                "time": "2026-01-02T03:04:05.123456789+01:00",
                "stream": "stderr",
                "logtag": "F",
                "message": "text of it",
            },
        ),
    ],
)
def test_a_line_of_the_format_gets_its_fields(parser: str, line: str, fields: dict[str, Any]) -> None:
    assert fields_of(line, parser=parser) == fields


def test_named_groups_of_a_pattern_become_fields() -> None:
    given = {"parser": "regex", "parser_regex": r"^(?P<who>\w+) (?P<what>\w+)(?: (?P<why>\w+))?$"}
    assert fields_of("anna ordered", **given) == {"who": "anna", "what": "ordered"}
    assert fields_of("anna ordered", parser_regex=r"(?P<who>\w+)") == {"who": "anna"}


def test_a_pattern_sees_only_the_beginning_of_a_long_line() -> None:
    assert fields_of("x" * MOST_CHARACTERS + " end", parser_regex=r"(?P<end>end)") is None


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    "line", ["", "plain text", "[1,2]", "1", "null", '{"a":', '"text"', "\ud800", "a\0b"]
)
def test_a_line_of_another_format_is_shipped_as_it_is_and_counted(parser: str, line: str) -> None:
    counted = Counted()
    (found,) = pipeline(counted, parser=parser).apply([event(line)])
    assert (found.log, found.fields) == (line, None)
    assert counted.failed == {"parse": 1}


@pytest.mark.parametrize(
    "line",
    [
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"a":' + "[" * (jsonline.MOST_LEVELS + 1) + "]" * (jsonline.MOST_LEVELS + 1) + "}",
        json.dumps({str(number): number for number in range(jsonline.MOST_KEYS + 1)}),
        json.dumps({"a": [{"b": 1}] * (jsonline.MOST_KEYS + 1)}),
        json.dumps({"a": "x" * jsonline.MOST_CHARACTERS}),
        " ".join(f"k{number}=v" for number in range(logfmt.MOST_KEYS + 1)),
        "a=" + "x" * logfmt.MOST_CHARACTERS,
    ],
    ids=["endless", "deep", "rich", "rich below", "long", "rich logfmt", "long logfmt"],
)
def test_a_hostile_line_gets_no_fields(line: str) -> None:
    assert jsonline.parse(line) is None
    assert logfmt.parse(line) is None


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, "b": [[[]]] * 8},
        {"text": "{[{[" * 50},
        {"times": "1:2:3:4" * 200},
        {str(number): 1 for number in range(jsonline.MOST_KEYS)},
    ],
)
def test_what_only_looks_hostile_is_parsed(value: dict[str, Any]) -> None:
    assert jsonline.parse(json.dumps(value)) == value


@given(
    st.dictionaries(
        st.text("abc.", min_size=1), st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=1
    )
)
def test_logfmt_reads_what_is_written_quoted(pairs: dict[str, str]) -> None:
    line = " ".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in pairs.items())
    assert logfmt.parse(line) == pairs


@given(st.text())
def test_no_text_makes_a_parser_fail(line: str) -> None:
    for parser in (*PARSERS.values(), access.parse_common):
        parser(line)


def test_fields_that_an_event_has_already_are_kept() -> None:
    given = event('{"a":1}')
    given.fields = {"b": 2}
    (found,) = pipeline(parser="json").apply([given])
    assert found.fields == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("parser", "pattern", "said"),
    [("regex", None, "there is no parser-regex"), (None, r"(\w+)", "has no named group")],
)
def test_values_that_do_not_go_together_are_refused(
    parser: str | None, pattern: str | None, said: str
) -> None:
    values = {"parser": parser, "parser-regex": pattern and re.compile(pattern)}
    with pytest.raises(Unusable, match=said):
        TRANSFORM.make(values, Counted().counters())
