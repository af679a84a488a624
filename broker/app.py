"""What the broker tells of itself: metrics and health."""

from __future__ import annotations

from wsgiref.types import WSGIApplication

from broker.metrics import BrokerMetrics
from compose_agent.web.health import Probe, with_health
from compose_agent.web.metricsview import metrics_view
from compose_agent.web.response import routed


def make_app(metrics: BrokerMetrics, probe: Probe) -> WSGIApplication:
    """Return the application for the local socket and for TCP."""
    return with_health(routed({"/metrics": {"GET": metrics_view(metrics.text)}}), probe)
