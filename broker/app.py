"""What the broker tells of itself: metrics and health."""

from __future__ import annotations

from wsgiref.types import WSGIApplication, WSGIEnvironment

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE

from broker.metrics import BrokerMetrics
from compose_agent.web.health import Probe, with_health
from compose_agent.web.response import Response, routed

_TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_app(metrics: BrokerMetrics, probe: Probe) -> WSGIApplication:
    """Return the application for the local socket and for TCP."""

    def view(environ: WSGIEnvironment) -> Response:
        openmetrics = "application/openmetrics-text" in environ.get("HTTP_ACCEPT", "")
        kind = OPENMETRICS_TYPE if openmetrics else _TEXT_TYPE
        return Response(200, metrics.text(openmetrics=openmetrics), kind)

    return with_health(routed({"/metrics": {"GET": view}}), probe)
