from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from compose_agent import log

Lines = Callable[[], list[str]]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_of_logfmt_has_time_level_logger_message_and_fields(stream: io.StringIO) -> None:
    log.setup(stream=stream)
    logging.getLogger("exporter.x").warning("event stream lost", extra={"error": 'no "such" thing', "n": 3})
    time, _, rest = stream.getvalue().removeprefix("ts=").partition(" ")
    assert datetime.fromisoformat(time).tzinfo is not None
    fields = r'level=warning logger=exporter.x msg="event stream lost" error="no \"such\" thing" n=3'
    assert rest == fields + "\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ("two\nlines", '"two\\nlines"'),
        ("back\\slash", '"back\\\\slash"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("größe", "größe"),
        (None, "None"),
    ],
)
def test_a_value_that_could_break_a_line_is_quoted(value: object, shown: str, stream: io.StringIO) -> None:
    log.setup(stream=stream)
    logging.getLogger("x").warning("m", extra={"field": value})
    assert stream.getvalue().endswith(f" field={shown}\n")
    assert stream.getvalue().count("\n") == 1


def test_a_line_of_json_is_one_object(stream: io.StringIO) -> None:
    log.setup(fmt="json", stream=stream)
    logging.getLogger("x").error("two\nlines", extra={"revision": 3, "path": object})
    line = json.loads(stream.getvalue())
    assert (line["level"], line["logger"], line["msg"], line["revision"]) == ("error", "x", "two\nlines", 3)
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("fmt", ["logfmt", "json"])
def test_an_exception_stays_on_its_line(fmt: log.Format, stream: io.StringIO) -> None:
    log.setup(fmt=fmt, stream=stream)
    try:
        raise ValueError("no good")  # noqa: TRY301 - what is logged is an exception that was caught
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "ValueError: no good" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_a_level_hides_what_is_below_it_and_a_second_setup_replaces_the_first(stream: io.StringIO) -> None:
    log.setup("warning", stream=stream)
    logging.getLogger("x").info("hidden")
    log.setup("debug", stream=stream)
    logging.getLogger("x").debug("shown")
    assert [line.split("msg=")[1] for line in stream.getvalue().splitlines()] == ["shown"]
