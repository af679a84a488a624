"""What is asked of the configured Prometheus: instant queries (prometheus/web/api/v1, ``/api/v1/query``)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from compose_agent.typed import convert, from_json
from remediation.httpapi import MOST_BYTES, SECONDS, HttpApi, HttpError, Peer, no_credentials

_REMEDY = "check remediation.prometheus.url, and that it is running"
# Of what it says is wrong with a query.
_EXCERPT = 200
_NAME = "__name__"


class PrometheusError(HttpError):
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
    """The API at ``url``, see HttpApi; each query takes about ``seconds`` at most. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        credentials: Callable[[], Mapping[str, str]] = no_credentials,
    ) -> None:
        peer = Peer("Prometheus", url, _REMEDY, PrometheusError)
        self._seconds = seconds
        self._api = HttpApi(peer, seconds=seconds, most_bytes=most_bytes, credentials=credentials)

    def query(self, promql: str) -> Sequence[Series]:
        """Return the result of an expression that gives a vector or a scalar; raises PrometheusError."""
        limit = f"{self._seconds:g}s"
        path = f"/api/v1/query?{urlencode({'query': promql, 'timeout': limit})}"
        found = self._api.ask("GET", path)
        try:
            answer = from_json(found.body, _Answer)
        except (ValueError, RecursionError) as error:
            raise self._api.unwanted(found) from error
        if answer.status != "success" or answer.data is None:
            what = f"Prometheus refuses the query {promql!r} ({answer.error[:_EXCERPT]})"
            raise PrometheusError(what, status=found.status)
        try:
            return _series(answer.data)
        except (ValueError, TypeError) as error:
            what = f"the query {promql!r} cannot be used ({error})"
            raise PrometheusError(what, status=found.status) from error

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
        self._api.close()


def _series(data: _Data) -> Sequence[Series]:
    if data.kind == "scalar":
        _, text = convert(data.result, tuple[float, str])
        return [Series({}, float(text), scalar=True)]
    if data.kind == "vector":
        samples = convert(data.result, list[_Sample])
        return [
            Series({name: text for name, text in each.metric.items() if name != _NAME}, float(each.value[1]))
            for each in samples
        ]
    raise ValueError(f"it gives a {data.kind}, not a vector or a scalar")
