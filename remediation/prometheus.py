"""What is asked of the configured Prometheus: instant queries (prometheus/web/api/v1, ``/api/v1/query``)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswer

from compose_agent import __version__
from compose_agent.errors import ComposeAgentError

# Whoever asks is about to judge or to scale by it, and asks again soon.
SECONDS = 5.0
# Ten thousand series with long labels.
MOST_BYTES = 8 << 20
_PIECE_BYTES = 64 << 10
_EXCERPT = 200
# The scaler, the queries and verification ask at the same time.
_KEPT_CONNECTIONS = 3
_NAME = "__name__"


class PrometheusError(ComposeAgentError):
    """Prometheus did not answer, or not with what a query gives."""


class Series(msgspec.Struct, frozen=True):
    """One series of a result, without the name of its metric; a scalar has no labels."""

    labels: Mapping[str, str]
    value: float
    scalar: bool = False


class _Sample(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct):
    kind: str = msgspec.field(name="resultType")
    result: Any = None


class _Answer(msgspec.Struct):
    status: str
    data: _Data | None = None
    error: str = ""


class Prometheus:
    """The API at ``url``; each query takes about ``seconds`` at most. Thread-safe.

    ``headers`` are asked for with each query, since credentials change. Redirects are not followed and
    proxies of the environment not used.
    """

    def __init__(
        self,
        url: str,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        headers: Callable[[], Mapping[str, str]] = dict,
        **tls: Any,
    ) -> None:
        self._url = url.rstrip("/")
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._headers = headers
        self._pool = urllib3.PoolManager(maxsize=_KEPT_CONNECTIONS, **tls)

    def query(self, promql: str) -> Sequence[Series]:
        """Return the result of an expression that gives a vector or a scalar; raises PrometheusError."""
        limit = f"{self._seconds:g}s"
        status, body = self._ask(f"/api/v1/query?{urlencode({'query': promql, 'timeout': limit})}")
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (ValueError, RecursionError) as error:
            excerpt = " ".join(body[:_EXCERPT].decode("utf-8", "replace").split())
            raise self._wrong(f"has answered {status} ({excerpt or 'nothing'})") from error
        if answer.status != "success" or answer.data is None:
            raise PrometheusError(f"Prometheus refuses the query {promql!r} ({answer.error[:_EXCERPT]})")
        try:
            return _series(answer.data)
        except (ValueError, TypeError) as error:
            raise PrometheusError(f"the query {promql!r} cannot be used ({error})") from error

    def value(self, promql: str) -> float | None:
        """Return the one number that an expression gives, None if it gives none; raises PrometheusError."""
        found = self.query(promql)
        if len(found) > 1:
            raise PrometheusError(
                f"the query {promql!r} gives {len(found)} series",
                remedy="aggregate them, with sum() or max()",
            )
        return found[0].value if found and math.isfinite(found[0].value) else None

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.clear()

    def _ask(self, path: str) -> tuple[int, bytes]:
        own = {"User-Agent": f"compose-agent/{__version__}", "Accept-Encoding": "identity"}
        try:
            response = self._pool.request(
                "GET",
                self._url + path,
                headers={**own, **self._headers()},
                timeout=urllib3.Timeout(total=self._seconds),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                return response.status, self._read(response)
            finally:
                response.close()  # a connection whose answer was read to its end is kept all the same
        except HTTPError as error:
            if isinstance(error, NoAnswer) and not isinstance(error, NewConnectionError):
                raise self._wrong(f"has not answered within {self._seconds:g} s") from error
            raise self._wrong(f"cannot be asked ({_said(error)})") from error

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        end = time.monotonic() + self._seconds
        data = bytearray()
        while piece := response.read1(_PIECE_BYTES):
            data += piece
            if len(data) > self._most_bytes:
                raise self._wrong(f"has answered more than {self._most_bytes} bytes")
            if time.monotonic() > end:
                raise self._wrong(f"has not sent its answer within {self._seconds:g} s")
        return bytes(data)

    def _wrong(self, what: str) -> PrometheusError:
        remedy = "check remediation.prometheus.url, and that it is running"
        return PrometheusError(f"Prometheus at {self._url} {what}", remedy=remedy)


def _series(data: _Data) -> Sequence[Series]:
    if data.kind == "scalar":
        _, text = msgspec.convert(data.result, tuple[float, str])
        return [Series({}, float(text), scalar=True)]
    if data.kind == "vector":
        samples = msgspec.convert(data.result, list[_Sample])
        return [
            Series({name: text for name, text in each.metric.items() if name != _NAME}, float(each.value[1]))
            for each in samples
        ]
    raise ValueError(f"it gives a {data.kind}, not a vector or a scalar")


def _said(error: HTTPError) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
