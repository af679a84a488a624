from __future__ import annotations

import flask
import pytest

from exporter.answers import answer, metrics_type
from exporter.app import scrape_timeout

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest.fixture
def app() -> flask.Flask:
    return flask.Flask(__name__)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/plain; version=1.0.0; escaping=allow-utf-8", TEXT),
        ("application/openmetrics-text", OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0; escaping=allow-utf-8", OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1, text/plain", TEXT),
        ("application/openmetrics-text; version=99.0.0<script>", OPENMETRICS),
        ("application/openmetrics-text; version=new", TEXT),
        ("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2", OPENMETRICS),
    ],
)
def test_the_content_type_is_one_of_two(app: flask.Flask, accept: str | None, expected: str) -> None:
    with app.test_request_context(headers={} if accept is None else {"Accept": accept}):
        assert metrics_type() == expected


@pytest.mark.parametrize(
    ("accepted", "gzip"),
    [
        (None, False),
        ("", False),
        ("identity", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, identity", False),
        ("gzip;q=0, *", False),
    ],
)
def test_gzip_is_sent_to_those_who_take_it(app: flask.Flask, accepted: str | None, *, gzip: bool) -> None:
    headers = {} if accepted is None else {"Accept-Encoding": accepted}
    with app.test_request_context(headers=headers):
        response = answer("text", TEXT)
    assert (response.headers.get("Content-Encoding") == "gzip") is gzip
    assert (response.get_data() == b"text") is not gzip


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 9.0),
        ("", 9.0),
        ("soon", 9.0),
        ("30", 9.0),
        ("5", 4.5),
        ("0.5", 0.1),
        ("0.2", 0.1),
        ("-1", 0.1),
        ("nan", 0.1),
        ("inf", 9.0),
    ],
)
def test_a_scrape_ends_before_prometheus_gives_up(header: str | None, seconds: float) -> None:
    assert scrape_timeout(9.0, header) == seconds


def test_the_least_timeout_is_not_above_what_is_configured() -> None:
    assert scrape_timeout(0.05, "0.5") == 0.05
