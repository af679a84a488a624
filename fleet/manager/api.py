"""The nodes as JSON: ``/api/v1/nodes``, ``/api/v1/nodes/ID``, and the list for Prometheus."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import parse_qs, unquote
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.web.compression import compressed
from compose_agent.web.response import Handler, Response, RouteTable
from fleet.manager.discovery import targets
from fleet.manager.model import Health, Node, Transition
from fleet.manager.people.audit import tell
from fleet.manager.principal import Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.rows import ORDERS, Selection, row_of
from fleet.manager.sight import Sight
from fleet.opamp.uid import uid_text

NODES = "/api/v1/nodes"
DISCOVERY = "/api/v1/http_sd"
_LIMIT, _MOST = 1000, 10_000
_HISTORY = 50
_LONGEST_TEXT = 300
# How often Prometheus asks by itself, in seconds; we would not know better.
_REFRESH = ("X-Prometheus-Refresh-Interval-Seconds", "60")

History = Callable[[bytes, int], list[Transition]]


class NodesApi:
    """Answers questions about nodes, and changes them.

    ``history`` gives the last changes of a node. ``keep`` has what was changed on disk when it returns, or
    says why it is not.
    """

    def __init__(self, registry: Registry, history: History, keep: Callable[[], str]) -> None:
        self._registry = registry
        self._history = history
        self._keep = keep

    def routes(self) -> RouteTable:
        """Return the routes of exact paths."""
        return {NODES: {"GET": self._list}, DISCOVERY: {"GET": self._discovery}}

    def route(self, path: str) -> dict[str, Handler] | None:
        """Return the methods of a path below the list, None for a path that is none."""
        name, _, deed = path.removeprefix(f"{NODES}/").partition("/")
        if not path.startswith(f"{NODES}/") or not name or deed not in {"", "disable", "enable", "forget"}:
            return None
        name = unquote(name)
        if deed:
            return {"POST": lambda environ: self._change(environ, name, deed)}
        return {"GET": lambda environ: self._one(environ, name)}

    def _list(self, environ: WSGIEnvironment) -> Response:
        selection = selection_of(str(environ.get("QUERY_STRING", "")))
        sight = self._sight(environ)
        total, rows = sight.read(lambda nodes: selection.page(nodes, sight.never_seen()))
        states = {state.value: count for state, count in sight.count().items()}
        body = {"total": total, "states": states, "nodes": [row.document() for row in rows]}
        return compressed(_json(200, body), environ)

    def _one(self, environ: WSGIEnvironment, name: str) -> Response:
        found = self._sight(environ).find(name)
        if len(found) != 1:
            return _not_one(name, found)
        node = found[0]
        try:
            history = self._history(node.uid, _HISTORY)
        except ComposeAgentError as error:
            return _json(500, {"error": str(error)})
        return compressed(_json(200, details(node, history)), environ)

    def _change(self, environ: WSGIEnvironment, name: str, deed: str) -> Response:
        if not principal_of(environ).may(Role.OPERATOR):
            return _json(403, {"error": "this needs the role operator"})
        found = self._sight(environ).find(name)
        if len(found) != 1:
            return _not_one(name, found)
        tell(environ, found[0].environment, node=uid_text(found[0].uid))
        if deed == "forget":
            self._registry.forget(found[0])
        else:
            self._registry.disable(found[0], disabled=deed == "disable")
        if error := self._keep():
            return _json(503, {"error": f"it is so until the manager ends, and not on disk: {error}"})
        return _json(200, row_of(found[0]).document())

    def _discovery(self, environ: WSGIEnvironment) -> Response:
        answer = _json(200, self._sight(environ).read(targets))
        return compressed(Response(200, answer.body, answer.content_type, (_REFRESH,)), environ)

    def _sight(self, environ: WSGIEnvironment) -> Sight:
        return Sight(self._registry, principal_of(environ))


def details(node: Node, history: list[Transition]) -> dict[str, Any]:
    """Return everything of a node, as the API gives it."""
    told = node.description
    return row_of(node).document() | {
        "first_heard": node.first_heard,
        "capabilities": node.capabilities,
        "attributes": dict(told.attributes) if told else {},
        "listeners": dict(told.listeners) if told else {},
        "health": health_document(node.health) if node.health else None,
        "effective_config": dict(node.config),
        "history": [
            {"at": one.at, "before": one.before.value, "after": one.after.value, "reason": one.reason}
            for one in history
        ],
    }


def health_document(health: Health) -> dict[str, Any]:
    """Return a tree of health, as the API gives it."""
    return asdict(health) | {"parts": {name: health_document(part) for name, part in health.parts.items()}}


def selection_of(query: str) -> Selection:
    """Return what a query string asks for, without what is not valid."""
    given = {key: values[-1][:_LONGEST_TEXT] for key, values in parse_qs(query, errors="replace").items()}
    order = given.get("sort", "")
    return Selection(
        state=given.get("state", ""),
        text=given.get("q", ""),
        order=order if order in ORDERS else "state",
        offset=_number(given.get("offset", ""), 0, 10**9),
        limit=_number(given.get("limit", ""), _LIMIT, _MOST),
    )


def _number(text: str, default: int, most: int) -> int:
    return min(int(text), most) if text.isascii() and text.isdecimal() and len(text) < 10 else default


def _not_one(name: str, found: list[Node]) -> Response:
    if not found:
        return _json(404, {"error": f"there is no node {name}"})
    uids = [uid_text(node.uid) for node in found]
    return _json(
        409, {"error": f"{len(uids)} agents have the node id {name}: name one by its uid", "uids": uids}
    )


def _json(status: int, body: object) -> Response:
    return Response(status, msgspec.json.encode(body) + b"\n", "application/json")
