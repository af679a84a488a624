"""``/metrics`` of a role that tells of its own work."""

from __future__ import annotations

from typing import Protocol
from wsgiref.types import WSGIEnvironment

from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST as OPENMETRICS_TYPE

from compose_agent.web.response import Handler, Response

_TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsText(Protocol):
    """Returns the metrics in one of the two formats."""

    def __call__(self, *, openmetrics: bool) -> bytes: ...  # noqa: D102


def metrics_view(metrics: MetricsText) -> Handler:
    """Return a handler that answers in the format that is asked for."""

    def view(environ: WSGIEnvironment) -> Response:
        openmetrics = "application/openmetrics-text" in environ.get("HTTP_ACCEPT", "")
        kind = OPENMETRICS_TYPE if openmetrics else _TEXT_TYPE
        return Response(200, metrics(openmetrics=openmetrics), kind)

    return view
