"""The nodes as JSON: ``/api/v1/nodes``, ``/api/v1/nodes/ID``, and the list for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from msgspec import Meta

from compose_agent.errors import ComposeAgentError
from compose_agent.web.compression import compressed
from compose_agent.web.response import Response
from fleet.manager import documents
from fleet.manager.discovery import Asker, targets
from fleet.manager.model import Node, State, Transition
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.answers import answered, problem
from fleet.manager.people.audit import tell
from fleet.manager.principal import Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.rows import ORDERS, Order, Row, Selection, row_of
from fleet.manager.sight import Sight
from fleet.opamp.uid import uid_text

NODES = "/api/v1/nodes"
DISCOVERY = "/api/v1/http_sd"
_LIMIT, _MOST = 1000, 10_000
_HISTORY = 50
_LONGEST_TEXT = 300
# How often Prometheus asks by itself, in seconds; we would not know better.
_REFRESH = ("X-Prometheus-Refresh-Interval-Seconds", "60")

NOT_ONE = {404: "There is no such node.", 409: "Several agents have this node id."}
AMBIGUOUS = {409: documents.Ambiguous}
_DEEDS = {
    "disable": "Switch a node off: its agent is told to come again later",
    "enable": "Switch a node on again",
    "forget": "Remove a node; its agent appears anew if it speaks",
}
_SELECTION = (
    Parameter("q", "Words that stand in node id, host, address, role, environment, version or tags"),
    Parameter("state", "Only nodes in this state", State),
    Parameter("sort", "What comes first", Order),
    Parameter("limit", "How many at most", Annotated[int, Meta(ge=0, le=_MOST)]),
    Parameter("offset", "How many to leave out at the beginning", Annotated[int, Meta(ge=0, le=10**9)]),
)

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

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        one = f"{NODES}/{{node}}"
        return [
            Operation(
                method="GET",
                path=NODES,
                summary="Nodes, the worst first",
                answer=self._list,
                gives=documents.Nodes,
                parameters=_SELECTION,
            ),
            Operation(
                method="GET",
                path=one,
                summary="Everything of one node, by node id or uid",
                answer=self._one,
                gives=documents.NodeDetails,
                refuses=NOT_ONE,
                problems=AMBIGUOUS,
            ),
            *(self._deed(f"{one}/{deed}", deed, summary) for deed, summary in _DEEDS.items()),
            Operation(
                method="GET",
                path=DISCOVERY,
                summary="Targets for http_sd_configs of Prometheus",
                answer=self._discovery,
                gives=list[documents.TargetGroup],
            ),
        ]

    def _deed(self, path: str, deed: str, summary: str) -> Operation:
        return Operation(
            method="POST",
            path=path,
            summary=summary,
            answer=partial(self._change, deed),
            gives=Row,
            refuses=NOT_ONE,
            problems=AMBIGUOUS,
            needs=Role.OPERATOR,
        )

    def _list(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        selection = selection_of(str(environ.get("QUERY_STRING", "")))
        sight = self._sight(environ)
        total, rows = sight.read(lambda nodes: selection.page(nodes, sight.never_seen()))
        states = {state.value: count for state, count in sight.count().items()}
        return compressed(answered(200, documents.Nodes(total, states, rows)), environ)

    def _one(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = self._sight(environ).find(names["node"])
        if len(found) != 1:
            return not_one(names["node"], found)
        node = found[0]
        try:
            history = self._history(node.uid, _HISTORY)
        except ComposeAgentError as error:
            return problem(503, str(error))
        return compressed(answered(200, details(node, history)), environ)

    def _change(self, deed: str, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = self._sight(environ).find(names["node"])
        if len(found) != 1:
            return not_one(names["node"], found)
        tell(environ, found[0].environment, node=uid_text(found[0].uid))
        if deed == "forget":
            self._registry.forget(found[0])
        else:
            self._registry.disable(found[0], disabled=deed == "disable")
        if error := self._keep():
            return problem(503, f"it is so until the manager ends, and not on disk: {error}")
        return answered(200, row_of(found[0]))

    def _discovery(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        asker = Asker(
            str(environ.get("REMOTE_ADDR", "")),
            str(environ.get("wsgi.url_scheme", "http")),
            str(environ.get("HTTP_HOST", "")),
        )
        answer = answered(200, self._sight(environ).read(lambda nodes: targets(nodes, asker)))
        return compressed(Response(200, answer.body, answer.content_type, (_REFRESH,)), environ)

    def _sight(self, environ: WSGIEnvironment) -> Sight:
        return Sight(self._registry, principal_of(environ))


def details(node: Node, history: list[Transition]) -> documents.NodeDetails:
    """Return everything of a node, as the API gives it."""
    told = node.description
    return documents.NodeDetails(
        **row_of(node).document(),
        first_heard=node.first_heard,
        capabilities=node.capabilities,
        attributes=dict(told.attributes) if told else {},
        listeners=dict(told.listeners) if told else {},
        health=node.health,
        effective_config=dict(node.config),
        history=[documents.Change(one.at, one.before.value, one.after.value, one.reason) for one in history],
    )


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


def not_one(name: str, found: list[Node]) -> Response:
    """Return the answer to a name that no node has, or several."""
    if not found:
        return problem(404, f"there is no node {name}")
    uids = [uid_text(node.uid) for node in found]
    error = f"{len(uids)} agents have the node id {name}: name one by its uid"
    return answered(409, documents.Ambiguous(error, uids))
