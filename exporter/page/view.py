"""The page's routes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication

import flask

from compose_agent.dockerd.overview import Overview
from compose_agent.dockerd.overview.order import STATE_FILTERS, Order, View
from compose_agent.dockerd.overview.wire import to_json
from compose_agent.web.health import HEALTHY_PATH, READY_PATH
from compose_agent.web.page import Pages, relative
from compose_agent.web.response import Handler, Response
from exporter.answers import answer
from exporter.page.manual import manual
from exporter.page.present import present

Read = Callable[[], Overview]


def make_page(read: Read, telemetry_path: str) -> flask.Blueprint:
    """Return the routes; ``read`` gives the overview of the moment.

    Metrics that were put on the page's own path keep it, and there is no page then.
    """
    page, pages = flask.Blueprint("page", __name__), Pages(Path(__file__).parent)
    links = _links(telemetry_path)
    for path, methods in pages.files().items():
        page.add_url_rule(path, _endpoint(path), _at_request(methods["GET"]))
    routes: Mapping[str, Callable[[], WSGIApplication]] = {
        "/": _page_view(pages, read, links),
        "/docs": _manual_view(pages, links),
        "/v1/containers": _json_view(read),
    }
    for path, view in routes.items():
        if path != telemetry_path:
            page.add_url_rule(path, _endpoint(path), view)
    return page


def _endpoint(path: str) -> str:
    return path.strip("/").replace("/", "-").replace(".", "-") or "page"


def _links(telemetry_path: str) -> list[tuple[str, str]]:
    paths = {
        "Metrics": telemetry_path,
        "JSON": "/v1/containers",
        "Health": HEALTHY_PATH,
        "Ready": READY_PATH,
        "Manual": "/docs",
    }
    return relative(paths)


def _at_request(handler: Handler) -> Callable[[], WSGIApplication]:
    return lambda: handler(flask.request.environ)


def _page_view(pages: Pages, read: Read, links: list[tuple[str, str]]) -> Callable[[], Response]:
    def view() -> Response:
        arguments = flask.request.args
        page = present(read(), lenient_view(arguments))
        template = "live.html" if arguments.get("fragment") else "page.html"
        return pages.html(flask.request.environ, template, page=page, links=links)

    return view


def _manual_view(pages: Pages, links: list[tuple[str, str]]) -> Callable[[], Response]:
    def view() -> Response:
        return pages.html(flask.request.environ, "manual.html", manual=manual(), links=links)

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
