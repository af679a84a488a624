"""A collector of traces and metrics on a loopback port, which decodes with OpenTelemetry's own protobufs.

::

    with FakeCollector() as collector:
        collector.behave(Behaviour(status=429, retry_after="2"))
        ...
        collector.spans    # every span that it has taken, as protobuf, in the order of arrival
        collector.metrics  # the same for resources with metrics
"""

from __future__ import annotations

import gzip
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import ResourceMetrics
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

from compose_agent.tracing.settings import METRICS_PATH, TRACES_PATH


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of requests: they wait ``seconds``, and are answered with ``status``.

    With 200 they are taken, all but the ``rejected`` first spans. ``hang_up`` ends the connection instead of
    an answer, after the spans were taken if the status is 200. ``refuse`` answers 400 to a request that has a
    span of this name.
    """

    status: int = 200
    seconds: float = 0.0
    retry_after: str = ""
    rejected: int = 0
    hang_up: bool = False
    refuse: str = ""


class FakeCollector:
    """Listens while it is entered; ``requests`` counts what has come, whatever became of it."""

    def __init__(self, port: int = 0, *, tls: ssl.SSLContext | None = None) -> None:
        self._behaviour = Behaviour()
        self._lock = threading.Lock()
        self._tls = tls
        self._port = port
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.resources: list[ResourceSpans] = []
        self.metrics: list[ResourceMetrics] = []
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", self._port), type("Handler", (_Handler,), {"owner": self}))
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def behave(self, behaviour: Behaviour) -> None:
        """Behave so from now on."""
        self._behaviour = behaviour

    @property
    def behaviour(self) -> Behaviour:
        """How requests are answered now."""
        return self._behaviour

    @property
    def spans(self) -> list[Span]:
        """Every span that was taken, in the order of arrival, with those that came again."""
        with self._lock:
            return list(_spans(self.resources))

    def repeated(self) -> int:
        """Return how many of them had come before."""
        counts = Counter((each.trace_id, each.span_id) for each in self.spans)
        return sum(counts.values()) - len(counts)

    def wait_for(self, count: int, seconds: float = 10.0) -> list[Span]:
        """Return the spans as soon as there are ``count``; raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while len(found := self.spans) < count:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {count} spans within {seconds:g} s")
            time.sleep(0.02)
        return found

    def take(self, request: ExportTraceServiceRequest, behaviour: Behaviour) -> None:
        """Take what was sent, all but what is to be rejected."""
        left = behaviour.rejected
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                gone = min(left, len(scope.spans))
                del scope.spans[:gone]
                left -= gone
        with self._lock:
            self.resources.extend(request.resource_spans)

    def take_metrics(self, request: ExportMetricsServiceRequest) -> None:
        """Take metrics that were sent."""
        with self._lock:
            self.metrics.extend(request.resource_metrics)

    def note(self, headers: dict[str, str]) -> None:
        """Count a request."""
        with self._lock:
            self.headers.append(headers)  # before it is counted: who waits for the count looks at them
            self.requests += 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed, or do not trust a certificate, are what it is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FakeCollector

    def do_POST(self) -> None:
        """Take spans, or do not."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        behaviour = self.owner.behaviour
        self.owner.note({name.lower(): value for name, value in self.headers.items()})
        time.sleep(behaviour.seconds)
        status = self._status(body, behaviour)
        if behaviour.hang_up:
            self.close_connection = True
            return
        answer = ExportTraceServiceResponse()
        if status == 200 and behaviour.rejected:
            answer.partial_success.rejected_spans = behaviour.rejected
            answer.partial_success.error_message = "as was asked for"
        self._answer(status, answer.SerializeToString(), behaviour.retry_after)

    def _status(self, body: bytes, behaviour: Behaviour) -> int:
        if self.path not in (TRACES_PATH, METRICS_PATH):
            return 404
        if behaviour.status != 200:
            return behaviour.status
        data = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        if self.path == METRICS_PATH:
            self.owner.take_metrics(ExportMetricsServiceRequest.FromString(data))
            return 200
        request = ExportTraceServiceRequest.FromString(data)
        if behaviour.refuse and any(each.name == behaviour.refuse for each in _spans(request.resource_spans)):
            return 400
        self.owner.take(request, behaviour)
        return 200

    def _answer(self, status: int, body: bytes, retry_after: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        if retry_after:
            self.send_header("Retry-After", retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def _spans(resources: Iterable[ResourceSpans]) -> Iterator[Span]:
    for resource in resources:
        for scope in resource.scope_spans:
            yield from scope.spans
