"""The exporter's routes: metrics, page, health."""

from __future__ import annotations

from collections.abc import Callable
from wsgiref.types import WSGIApplication

import flask

from compose_agent.dockerd.overview import Observer
from compose_agent.web.health import Probe, with_health
from exporter.answers import answer, metrics_type
from exporter.page import make_page
from exporter.scrape import Scraper
from exporter.selfmetrics import SelfMetrics
from exporter.settings import ExporterSettings

# What the answer needs on its way back to Prometheus.
_TIMEOUT_OFFSET_SECONDS = 0.5
# For a Prometheus that leaves less than the offset: what is cached is answered all the same.
_LEAST_TIMEOUT_SECONDS = 0.1
_TIMEOUT_HEADER = "X-Prometheus-Scrape-Timeout-Seconds"


def make_app(
    scraper: Scraper, metrics: SelfMetrics, settings: ExporterSettings, probe: Probe, observer: Observer
) -> WSGIApplication:
    """Return the application for one configuration."""
    # The page has static files of its own.
    app = flask.Flask(__name__, static_folder=None)
    app.add_url_rule(settings.telemetry_path, "metrics", _metrics_view(scraper, metrics, settings))
    app.register_blueprint(make_page(observer.overview, settings.telemetry_path))
    return with_health(app.wsgi_app, probe)


def _metrics_view(
    scraper: Scraper, metrics: SelfMetrics, settings: ExporterSettings
) -> Callable[[], flask.Response]:
    def view() -> flask.Response:
        request = flask.request
        content_type = metrics_type()
        openmetrics = "openmetrics" in content_type
        only = request.args.getlist("collect[]")
        if unknown := set(only) - set(scraper.names()):
            text = f"unknown collector: {', '.join(sorted(unknown))}\n"
            return flask.Response(text, 400, content_type="text/plain; charset=utf-8")
        timeout = scrape_timeout(settings.scrape_timeout, request.headers.get(_TIMEOUT_HEADER))
        body = scraper.render(openmetrics=openmetrics, timeout=timeout, only=only)
        body += metrics.text(openmetrics=openmetrics) + ("# EOF\n" if openmetrics else "")
        return answer(body, content_type)

    return view


def scrape_timeout(configured: float, header: str | None) -> float:
    """Return the seconds a scrape may take: what is configured, or what Prometheus leaves if that is less."""
    try:
        wanted = float(header) - _TIMEOUT_OFFSET_SECONDS if header else configured
    except ValueError:
        return configured
    return min(configured, max(_LEAST_TIMEOUT_SECONDS, wanted))
