"""The button that has a host send the last lines of a container's log, and leads to where they appear."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode
from wsgiref.types import WSGIEnvironment

from compose_agent.errors import StateError
from compose_agent.web.response import Response, RouteTable, body_of
from fleet.envelopes.verbs import Verb
from fleet.manager.commands.asked import Order
from fleet.manager.commands.issuer import Issuer
from fleet.manager.page.frame import Frame
from fleet.manager.page.work import COMMAND
from fleet.manager.people.audit import tell
from fleet.manager.principal import principal_of
from fleet.manager.registry import Registry
from fleet.manager.sight import Sight

PATH = "/log"
# What somebody reads; more is to be had with a command of their own.
LINES = 200
_LONGEST_NAME = 300


class LogButton:
    """Gives the command; who may not, and forged forms, are turned away before they get here."""

    def __init__(self, frame: Frame, registry: Registry, issuer: Issuer) -> None:
        self._frame = frame
        self._registry = registry
        self._issuer = issuer

    def routes(self) -> RouteTable:
        """Return the button's route."""
        return {PATH: {"POST": self._press}}

    def _press(self, environ: WSGIEnvironment) -> Response:
        form = parse_qs(body_of(environ).decode("utf-8", "replace"), errors="replace")
        name, container = (form.get(key, [""])[-1][:_LONGEST_NAME] for key in ("node", "container"))
        principal = principal_of(environ)
        found = Sight(self._registry, principal).find(name)
        if len(found) != 1:
            return self._frame.html(environ, "missing.html", status=404, name=name, section="/")
        order = Order(verb=Verb.LOGS, target=container, arguments={"lines": str(LINES)})
        tell(environ, found[0].environment, verb=order.verb.value, target=container, nodes=found[0].node_id)
        try:
            (issued,) = self._issuer.issue(order, found, principal.name)
        except StateError as error:
            return Response.text(503, str(error))
        # The browser asks for the page anew, so that reloading does not press again.
        return Response(303, b"", headers=(("Location", f".{COMMAND}?{urlencode({'id': issued.id})}"),))
