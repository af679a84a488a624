"""The forwarder's routes: metrics, positions, health."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from compose_agent.web.health import Probe, with_health
from compose_agent.web.metricsview import MetricsText, metrics_view
from compose_agent.web.response import Response, RouteTable, routed


def make_app(
    metrics: MetricsText, positions: Callable[[], list[dict[str, Any]]], probe: Probe
) -> WSGIApplication:
    """Return the application."""

    def positions_view(_environ: WSGIEnvironment) -> Response:
        return Response.json(200, positions())

    routes: RouteTable = {
        "/metrics": {"GET": metrics_view(metrics)},
        "/v1/positions": {"GET": positions_view},
    }
    return with_health(routed(routes), probe)
