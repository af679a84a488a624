"""The client on a server of its own, and on a real Prometheus."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.prometheus import Prometheus as RealPrometheus
from remediation.prometheus import Prometheus, PrometheusError, Series


class Server(ThreadingHTTPServer):
    """Answers each request with the status, the headers and the body that it is given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.body = b""
        self.location = ""
        self.drip = 0.0
        self.asked: list[dict[str, list[str]]] = []
        self.headers: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def give(self, kind: str, result: Any) -> None:
        self.body = json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(parse_qs(urlsplit(self.path).query))
        self.server.headers.append(dict(self.headers))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        try:
            for byte in self.server.body if self.server.drip else b"":
                self.wfile.write(bytes([byte]))
                time.sleep(self.server.drip)
            if not self.server.drip:
                self.wfile.write(self.server.body)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        thread = threading.Thread(target=started.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def client(server: Server) -> Iterator[Prometheus]:
    prometheus = Prometheus(server.url, seconds=20, credentials=lambda: {"Authorization": "Bearer secret"})
    yield prometheus
    prometheus.close()


def test_a_vector_is_series_without_the_name_of_the_metric(server: Server, client: Prometheus) -> None:
    server.give("vector", [{"metric": {"__name__": "up", "job": "a"}, "value": [1.5, "1"]}])
    assert client.query('up{job="a"} == 1') == [Series({"job": "a"}, 1.0)]
    assert server.asked == [{"query": ['up{job="a"} == 1'], "timeout": ["20s"]}]
    assert server.headers[0]["Authorization"] == "Bearer secret"


def test_a_scalar_is_one_series_without_labels(server: Server, client: Prometheus) -> None:
    server.give("scalar", [1.5, "+Inf"])
    assert client.query("1/0") == [Series({}, math.inf, scalar=True)]


@pytest.mark.parametrize(
    ("values", "expected"), [([], None), (["2.5"], 2.5), (["NaN"], None), (["+Inf"], None)]
)
def test_a_value_is_the_one_number_or_none(
    server: Server, client: Prometheus, values: list[str], expected: float | None
) -> None:
    server.give("vector", [{"metric": {}, "value": [1, each]} for each in values])
    assert client.value("q") == expected


def test_several_series_are_no_value(server: Server, client: Prometheus) -> None:
    server.give("vector", [{"metric": {"i": each}, "value": [1, "1"]} for each in "ab"])
    with pytest.raises(PrometheusError, match="gives 2 series: aggregate them"):
        client.value("up")


ERROR = {"status": "error", "errorType": "bad_data", "error": "parse error at char 3"}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (400, json.dumps(ERROR).encode(), r"refuses the query 'q' \(parse error at char 3\)"),
        (401, b"who  are\nyou", r"has answered 401 \(who are you\): check remediation.prometheus.url"),
        (200, b"", r"has answered 200 \(nothing\)"),
        (200, b"[" * 100_000, "has answered 200"),
        (200, b'{"status":"success"}', "refuses the query"),
        (200, b'{"status":"success","data":{"resultType":"matrix","result":[]}}', "gives a matrix, not a"),
        (200, b'{"status":"success","data":{"resultType":"scalar","result":[1]}}', "cannot be used"),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}',
            "cannot be used",
        ),
        (
            200,
            b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"x"]}]}}',
            "cannot be used",
        ),
        (503, b"\xff\xfe", "has answered 503"),
    ],
)
def test_every_other_answer_is_an_error_in_a_sentence(
    server: Server, client: Prometheus, status: int, body: bytes, said: str
) -> None:
    server.status, server.body = status, body
    with pytest.raises(PrometheusError, match=said):
        client.query("q")


def test_a_redirect_is_not_followed(server: Server, client: Prometheus) -> None:
    server.status, server.location = 302, f"{server.url}/elsewhere"
    with pytest.raises(PrometheusError, match="has answered 302"):
        client.query("q")
    assert len(server.asked) == 1


def test_an_answer_has_a_size_and_a_time(server: Server) -> None:
    server.give("vector", [{"metric": {"a": "x" * 5000}, "value": [1, "1"]}])
    small = Prometheus(server.url, most_bytes=4096)
    with pytest.raises(PrometheusError, match="has answered more than 4096 bytes"):
        small.query("q")
    server.drip = 0.02
    hasty = Prometheus(server.url, seconds=0.3)
    began = time.monotonic()
    with pytest.raises(PrometheusError, match=r"within 0.3 s"):
        hasty.query("q")
    assert time.monotonic() - began < 10
    small.close()
    hasty.close()


def test_nobody_there_and_nobody_who_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Prometheus(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.2)
        with pytest.raises(PrometheusError, match=r"has not answered within 0\.2 s"):
            client.query("q")
    with pytest.raises(PrometheusError, match=r"cannot be asked \(.*refused.*\)"):
        client.query("q")
    client.close()


def test_a_real_prometheus_answers_and_refuses() -> None:
    with RealPrometheus({}) as real:
        client = Prometheus(real.url, seconds=60)
        assert client.query('label_replace(vector(3), "a", "b", "", "") > 2') == [Series({"a": "b"}, 3.0)]
        assert client.query("vector(3) > 4") == []
        assert client.value("scalar(vector(7))") == 7.0
        with pytest.raises(PrometheusError, match=r"refuses the query 'sum\('"):
            client.query("sum(")
        with pytest.raises(PrometheusError, match="gives a string"):
            client.query('"text"')
        client.close()
