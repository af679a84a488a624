from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from log_forwarder.transforms.level import LEVELS, level_of_fields, level_of_text, level_of_value
from log_forwarder.transforms.timestamp import time_in, time_of
from log_forwarder.transforms.trace import ids_of_fields, ids_of_text
from tests.log_forwarder.transforms.building import event, fields_of, pipeline

NEAR = "2026-01-02T03:04:05.678901234Z"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
JSON_VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("2026-01-02 03:04:05,678 INFO  [main] shop.Orders - shipped", "info"),
        ("2026-01-02 03:04:05.678 UTC [12] LOG:  checkpoint starting", "info"),
        ("2026-01-02 03:04:05.678 UTC [12] FATAL:  password authentication failed", "fatal"),
        ("2026/01/02 03:04:05 [error] 12#12: *3 open() failed", "error"),
        ("[Fri Jan 02 03:04:05 2026] [core:warn] [pid 12] text", "warn"),
        ("I0102 03:04:05.678901  12 main.go:3] started", "info"),
        ("E0102 03:04:05.678901  12 main.go:3] failed", "error"),
        ("W, [2026-01-02T03:04:05.678901 #12]  WARN -- : slow", "warn"),
        ('time=2026-01-02T03:04:05Z level=debug msg="ERROR is a word"', "debug"),
        ('{"t":1,"severity":"WARNING","msg":"x"}', "warn"),
        (r'{"m":"{\"level\":\"error\"}"}', "error"),
        ("ERROR:root:boom", "error"),
        ("warn: deprecated", "warn"),
        ("info  - ready on :3000", "info"),
        ("npm ERR! code ELIFECYCLE", "error"),
        ("\x1b[32minfo\x1b[39m: started", "info"),
        ("12:00 \x1b[1;31mERROR\x1b[0m boom", "error"),
        ("<34>Jan  2 03:04:05 host su: failed", "fatal"),
        ("<165>1 2026-01-02T03:04:05Z host app - - - text", "info"),
        ("Traceback (most recent call last):\n  File x", "error"),
        ("panic: boom", "fatal"),
        ("Exception in thread main java.lang.X", "error"),
        ("CRITICAL disk full", "fatal"),
        ("GET /INFO/ERROR.html 200", None),
        ("an error is no level here", None),
        ("fine weather, default settings, log rotated", None),
        ("x" * 500 + " ERROR", None),
        ("", None),
    ],
)
def test_the_beginning_of_a_line_says_its_level(line: str, level: str | None) -> None:
    assert level_of_text(line) == level


@pytest.mark.parametrize(
    ("fields", "level"),
    [
        ({"level": "WARNING"}, "warn"),
        ({"level": 30}, "info"),
        ({"level": "50"}, "error"),
        ({"level": 60.0}, "fatal"),
        ({"level": 3}, "error"),
        ({"lvl": "dbg"}, "debug"),
        ({"severity": "CRITICAL"}, "fatal"),
        ({"log.level": "Error"}, "error"),
        ({"log": {"level": "trace"}}, "trace"),
        ({"severity_number": 17}, "error"),
        ({"PRIORITY": "4"}, "warn"),
        ({"PRIORITY": ""}, None),
        ({"levelno": 30}, "warn"),
        ({"s": "W", "c": "NETWORK"}, "warn"),
        ({"s": "D2"}, "debug"),
        ({"level": True}, None),
        ({"level": "of water"}, None),
        ({"level": 1e300}, None),
        ({"msg": "ERROR"}, None),
    ],
)
def test_parsed_fields_say_a_level(fields: dict[str, Any], level: str | None) -> None:
    assert level_of_fields(fields) == level


def test_the_field_is_one_of_six_words() -> None:
    assert fields_of('{"level":30}', parser="json", level="auto") == {"level": "info"}
    assert fields_of("WARN: x", level="auto") == {"level": "warn"}
    assert fields_of("nothing", level="auto") is None
    assert fields_of('{"level":"odd"}', parser="json", level="auto") == {"level": "odd"}


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("2026-01-02T03:04:05.123456789Z text", "2026-01-02T03:04:05.123456789Z"),
        ("2026-01-02 03:04:05,678 INFO", "2026-01-02T03:04:05.678Z"),
        ("[2026-01-02T03:04:05+01:00] x", "2026-01-02T02:04:05Z"),
        ("2026-01-02 03:04:05.678 UTC [12] LOG:", "2026-01-02T03:04:05.678Z"),
        ("2026/01/02 03:04:05 [error] 12#12", "2026-01-02T03:04:05Z"),
        ("2026/01/02 03:04:05.000123 main.go:3", "2026-01-02T03:04:05.000123Z"),
        ('::1 - - [02/Jan/2026:03:04:05 +0100] "GET /"', "2026-01-02T02:04:05Z"),
        ("[Fri Jan 02 03:04:05.123456 2026] [core:error]", "2026-01-02T03:04:05.123456Z"),
        ("1:M 02 Jan 2026 03:04:05.678 * Ready", "2026-01-02T03:04:05.678Z"),
        ("I0102 03:04:05.678901  12 main.go:3]", "2026-01-02T03:04:05.678901Z"),
        ("I1231 23:59:59.999999  12 main.go:3]", "2025-12-31T23:59:59.999999Z"),
        ("<34>Jan  2 03:04:05 host su:", "2026-01-02T03:04:05Z"),
        ("2026-13-02T03:04:05Z", None),
        ("2026-01-02", None),
        ("x" * 70 + " 2026-01-02T03:04:05Z", None),
        ("nothing", None),
    ],
)
def test_the_beginning_of_a_line_says_a_time(line: str, found: str | None) -> None:
    assert time_in(line, NEAR) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (1767323045, "2026-01-02T03:04:05Z"),
        (1767323045.5, "2026-01-02T03:04:05.500000Z"),
        (1767323045678, "2026-01-02T03:04:05.678Z"),
        (1767323045678901, "2026-01-02T03:04:05.678901Z"),
        (1767323045678901234, "2026-01-02T03:04:05.678901234Z"),
        ("1767323045678", "2026-01-02T03:04:05.678Z"),
        ({"$date": "2026-01-02T03:04:05.678+00:00"}, "2026-01-02T03:04:05.678Z"),
        (12, None),
        (True, None),
        (float("inf"), None),
        (10**400, None),
        ("soon", None),
        ([1], None),
    ],
)
def test_a_value_says_a_time(value: object, found: str | None) -> None:
    assert time_of(value, NEAR) == found


def test_dockers_time_stays_the_events() -> None:
    given = event('{"ts":1767323045.5,"time":"no"}')
    docker = given.time
    (found,) = pipeline(parser="json", timestamp="auto").apply([given])
    assert found.time == docker
    assert found.fields == {"ts": 1767323045.5, "time": "no", "timestamp": "2026-01-02T03:04:05.500000Z"}


@pytest.mark.parametrize(
    ("fields", "trace", "span"),
    [
        ({"trace_id": TRACE, "span_id": SPAN}, TRACE, SPAN),
        ({"traceId": TRACE.upper(), "spanId": SPAN}, TRACE, SPAN),
        ({"trace": {"id": TRACE}, "span": {"id": SPAN}}, TRACE, SPAN),
        ({"trace.id": TRACE}, TRACE, None),
        ({"traceparent": f"00-{TRACE}-{SPAN}-01"}, TRACE, SPAN),
        ({"dd.trace_id": "255", "dd.span_id": "16"}, f"{255:032x}", f"{16:016x}"),
        (
            {"dd": {"trace_id": "1234567890123456789", "span_id": 5}},
            f"{1234567890123456789:032x}",
            f"{5:016x}",
        ),
        ({"X-B3-TraceId": SPAN, "X-B3-SpanId": SPAN}, SPAN.rjust(32, "0"), SPAN),
        ({"otelTraceID": TRACE, "otelSpanID": SPAN}, TRACE, SPAN),
        ({"logging.googleapis.com/trace": f"projects/shop/traces/{TRACE}"}, TRACE, None),
        ({"trace_id": "1-5759e988-bd862e3fe1be46a994272793"}, "5759e988bd862e3fe1be46a994272793", None),
        ({"trace_id": "0" * 32}, None, None),
        ({"otelTraceID": "0"}, None, None),
        ({"trace_id": "none"}, None, None),
        ({"trace_id": [1]}, None, None),
        ({"trace_id": 2**64}, None, None),
        ({"span_id": SPAN}, None, None),
    ],
)
def test_parsed_fields_name_a_trace(fields: dict[str, Any], trace: str | None, span: str | None) -> None:
    assert ids_of_fields(fields) == (trace, span)


@pytest.mark.parametrize(
    ("line", "trace", "span"),
    [
        (f"traceparent: 00-{TRACE}-{SPAN}-01 x", TRACE, SPAN),
        (f"GET / trace_id={TRACE} span_id={SPAN}", TRACE, SPAN),
        (f"[traceId: {TRACE}] done", TRACE, None),
        (f'{{"trace.id":"{TRACE}","span.id":"{SPAN}"}}', TRACE, SPAN),
        (f'{{"trace":{{"id":"{TRACE}"}}}}', TRACE, None),
        (f"INFO [shop,{TRACE},{SPAN}] 1 --- text", TRACE, SPAN),
        ("dd.trace_id=1234567890123456789 dd.span_id=1", f"{1234567890123456789:032x}", None),
        ("stack trace is empty", None, None),
        (f"commit {TRACE}", None, None),
        (f"trace_id={'0' * 32}", None, None),
        ("", None, None),
    ],
)
def test_a_line_names_a_trace(line: str, trace: str | None, span: str | None) -> None:
    assert ids_of_text(line) == (trace, span)


def test_ids_become_fields_of_the_event() -> None:
    assert fields_of(f"trace_id={TRACE}", trace="auto") == {"trace_id": TRACE}
    found = fields_of(f'{{"traceId":"{TRACE}","spanId":"{SPAN}"}}', parser="json", trace="auto")
    assert found == {"traceId": TRACE, "spanId": SPAN, "trace_id": TRACE, "span_id": SPAN}


@given(JSON_VALUES, st.text())
def test_no_value_and_no_text_makes_a_lift_fail(value: Any, text: str) -> None:
    assert level_of_value(value) in (None, *LEVELS)
    time_of(value, NEAR)
    time_in(text, NEAR)
    level_of_text(text)
    for name in ("level", "severity_number", "PRIORITY", "log", "s", "trace_id", "dd", "traceparent"):
        level_of_fields({name: value})
        ids_of_fields({name: value})
