"""The forwarder's routes: metrics, positions, health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol
from wsgiref.types import WSGIApplication, WSGIEnvironment

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE

from compose_agent.web.health import Probe, with_health
from compose_agent.web.response import Response, RouteTable, routed

_TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsText(Protocol):
    """Returns the metrics in one of the two formats."""

    def __call__(self, *, openmetrics: bool) -> bytes: ...  # noqa: D102


def make_app(
    metrics: MetricsText, positions: Callable[[], list[dict[str, Any]]], probe: Probe
) -> WSGIApplication:
    """Return the application."""

    def metrics_view(environ: WSGIEnvironment) -> Response:
        openmetrics = "application/openmetrics-text" in environ.get("HTTP_ACCEPT", "")
        kind = OPENMETRICS_TYPE if openmetrics else _TEXT_TYPE
        return Response(200, metrics(openmetrics=openmetrics), kind)

    def positions_view(_environ: WSGIEnvironment) -> Response:
        return Response.json(200, positions())

    routes: RouteTable = {"/metrics": {"GET": metrics_view}, "/v1/positions": {"GET": positions_view}}
    return with_health(routed(routes), probe)
