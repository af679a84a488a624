"""The routes of the page."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from compose_agent.dockerd.overview import words
from compose_agent.errors import ComposeAgentError
from compose_agent.web.formguard import FormGuard
from compose_agent.web.response import Response, RouteTable
from fleet.envelopes.command import CAPABILITY
from fleet.manager.api import History, selection_of
from fleet.manager.hosts import Book
from fleet.manager.model import State
from fleet.manager.page.frame import Frame
from fleet.manager.page.present import ROWS_ON_A_PAGE, action_line, container_line, line, parts, table
from fleet.manager.principal import Role, principal_of
from fleet.manager.registry import Registry
from fleet.manager.rows import ORDERS, row_of
from fleet.manager.sight import Sight

_HISTORY = 20


class NodesPage:
    """Makes the pages; ``trouble`` returns what is wrong with the manager itself."""

    def __init__(
        self,
        frame: Frame,
        registry: Registry,
        history: History,
        book: Book,
        *,
        forms: FormGuard,
        trouble: Callable[[], str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._frame = frame
        self._registry = registry
        self._history = history
        self._book = book
        self._forms = forms
        self._trouble = trouble
        self._now = now

    def routes(self) -> RouteTable:
        """Return the pages."""
        return {"/": {"GET": self._index}, "/node": {"GET": self._node}}

    def _index(self, environ: WSGIEnvironment) -> Response:
        query = str(environ.get("QUERY_STRING", ""))
        selection = replace(selection_of(query), limit=ROWS_ON_A_PAGE)
        sight = Sight(self._registry, principal_of(environ))
        total, rows = sight.read(lambda nodes: selection.page(nodes, sight.never_seen()))
        page = table(rows, total, sight.count(), selection, now=self._now(), trouble=self._trouble())
        template = "live.html" if "fragment" in parse_qs(query) else "page.html"
        return self._frame.html(
            environ, template, page=page, states=list(State), orders=list(ORDERS), section="/"
        )

    def _node(self, environ: WSGIEnvironment) -> Response:
        query = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
        name = query.get("id", [""])[-1]
        found = Sight(self._registry, principal_of(environ)).find(name)
        if len(found) != 1:
            return self._frame.html(environ, "missing.html", status=404, name=name, section="/")
        node, now = found[0], self._now()
        # Who may have a log sent is given what the button's form has to carry.
        may = principal_of(environ).may(Role.OPERATOR) and CAPABILITY in node.custom
        out = self._forms.give(environ) if may else None
        try:
            history = self._history(node.uid, _HISTORY)
        except ComposeAgentError:  # the page of all nodes says so
            history = []
        return self._frame.html(
            environ,
            "node_live.html" if "fragment" in query else "node.html",
            headers=out.headers if out else (),
            token=out.token if out else "",
            line=line(row_of(node), now),
            time=words.clock(now),
            containers=[container_line(each, now) for each in self._book.containers(node.uid)],
            actions=[action_line(each, now) for each in self._book.actions(node.uid)],
            health=list(parts("agent", node.health)) if node.health else [],
            config=node.config,
            attributes=dict(node.description.attributes) if node.description else {},
            listeners=dict(node.description.listeners) if node.description else {},
            history=[(words.date(one.at), one.before.value, one.after.value, one.reason) for one in history],
            section="/",
        )
