"""The page's routes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flask

from compose_agent import __version__
from compose_agent.dockerd.overview import Overview
from compose_agent.dockerd.overview.order import STATE_FILTERS, Order, View
from compose_agent.dockerd.overview.wire import to_json
from compose_agent.web.health import HEALTHY_PATH, READY_PATH
from exporter.answers import answer
from exporter.page.manual import manual
from exporter.page.present import present

HTML = "text/html; charset=utf-8"
# Nothing of the page comes from elsewhere, nothing in it runs or is styled inline, nobody frames it.
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)

Read = Callable[[], Overview]


def make_page(read: Read, telemetry_path: str) -> flask.Blueprint:
    """Return the routes; ``read`` gives the overview of the moment.

    Metrics that were put on the page's own path keep it, and there is no page then.
    """
    page = flask.Blueprint(
        "page",
        __name__,
        template_folder="templates",
        static_folder="static",
        static_url_path="/static",
    )
    links = _links(telemetry_path)
    routes = {"/": _page_view(read, links), "/docs": _manual_view(links), "/v1/containers": _json_view(read)}
    for path, view in routes.items():
        if path != telemetry_path:
            page.add_url_rule(path, path.strip("/").replace("/", "-") or "page", view)
    return page


def _links(telemetry_path: str) -> list[tuple[str, str]]:
    """Return label and address of what else is served, relative so that a proxy may put us under a path."""
    paths = {
        "Metrics": telemetry_path,
        "JSON": "/v1/containers",
        "Health": HEALTHY_PATH,
        "Ready": READY_PATH,
        "Manual": "/docs",
    }
    return [(label, path.lstrip("/")) for label, path in paths.items()]


def _page_view(read: Read, links: list[tuple[str, str]]) -> Callable[[], flask.Response]:
    def view() -> flask.Response:
        arguments = flask.request.args
        page = present(read(), lenient_view(arguments))
        template = "live.html" if arguments.get("fragment") else "page.html"
        return _html(template, page=page, links=links)

    return view


def _manual_view(links: list[tuple[str, str]]) -> Callable[[], flask.Response]:
    def view() -> flask.Response:
        return _html("manual.html", manual=manual(), links=links)

    return view


def _json_view(read: Read) -> Callable[[], flask.Response]:
    def view() -> flask.Response:
        try:
            wanted = strict_view(flask.request.args)
        except ValueError as error:
            return answer(f"{error}\n", "text/plain; charset=utf-8", 400)
        found = read()
        document = to_json(Overview(found.timestamp_seconds, found.host, wanted.of(found.containers)))
        return answer(json.dumps(document) + "\n", "application/json")

    return view


def strict_view(arguments: Any) -> View:
    """Return the view that a query string asks for; ValueError for a column or state that is none."""
    state = arguments.get("state", "")
    if state and state not in STATE_FILTERS:
        raise ValueError(f"there is no state '{state}': choose one of {', '.join(STATE_FILTERS)}")
    return View(Order.parse(arguments.get("sort") or str(Order())), arguments.get("q", ""), state)


def lenient_view(arguments: Any) -> View:
    """Return the view that a query string asks for, without what is not valid: a person gets a page."""
    state = arguments.get("state", "")
    try:
        order = Order.parse(arguments.get("sort") or str(Order()))
    except ValueError:
        order = Order()
    return View(order, arguments.get("q", ""), state if state in STATE_FILTERS else "")


def _html(template: str, **values: Any) -> flask.Response:
    response = answer(flask.render_template(template, version=__version__, **values), HTML)
    response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    response.headers["Cache-Control"] = "no-store"
    return response
