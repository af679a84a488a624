"""Who is let in over TCP: each request gets the principal that it proves, or an answer that says no.

A request that changes something has to come from who may do so at all. Where the proof is one that a browser
sends along by itself (a cookie, a password that it keeps), it must not come from a page of somebody else
either: cross-site request forgery. What a program puts into its requests itself needs no such rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol
from wsgiref.types import WSGIEnvironment

from compose_agent.web.auth import CHALLENGE, Authenticator, Busy
from compose_agent.web.formguard import is_same_origin
from compose_agent.web.response import Response
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.principal import ANYBODY, KEY, Principal, Role

SAFE_METHODS = frozenset({"GET", "HEAD"})
# Answered to everybody: whether the manager is there tells nothing of its nodes.
_OPEN = frozenset({"/-/healthy", "/-/ready"})


class Way(Protocol):
    """One way to prove who one is; ``ambient``: a browser sends the proof along by itself."""

    ambient: bool

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return who a request proves to come from, None when it proves nothing; raises Busy."""

    def holds(self) -> bool:
        """Tell whether there is somebody who could prove something in this way."""


class Gate:
    """Tries ``ways`` in their order; while none of them holds anybody, everybody may look."""

    def __init__(self, ways: Sequence[Way]) -> None:
        self._ways = ways

    def admit(self, environ: WSGIEnvironment) -> Response | None:
        """Put who asks into ``environ``, or return the answer to who is not let in."""
        if environ["PATH_INFO"] in _OPEN:
            environ[KEY] = ANYBODY
            return None
        try:
            way, principal = self._find(environ)
        except Busy as error:
            return Response.text(503, str(error), ("Retry-After", "1"))
        if principal is None:
            return Response.text(401, "unauthorized", ("WWW-Authenticate", CHALLENGE))
        environ[KEY] = principal
        environ["REMOTE_USER"] = principal.name
        return _refused_change(environ, way, principal)

    def _find(self, environ: WSGIEnvironment) -> tuple[Way | None, Principal | None]:
        for way in self._ways:
            if found := way.find(environ):
                return way, found
        # Whoever is asked for a name and gives none is not let in because somebody else has one.
        return None, None if any(way.holds() for way in self._ways) else ANYBODY


def _refused_change(environ: WSGIEnvironment, way: Way | None, principal: Principal) -> Response | None:
    if environ["REQUEST_METHOD"] in SAFE_METHODS:
        return None
    if not principal.may(Role.OPERATOR):
        return Response.json(403, {"error": f"{principal.name} may look, and change nothing"})
    if (way is None or way.ambient) and not is_same_origin(environ):
        return Response.json(403, {"error": "the page of another site has sent this; nothing was done"})
    return None


class FileUsers:
    """Users of the web configuration file: they may look, and see every environment."""

    ambient = True  # browsers keep a password and send it with each request

    def __init__(self, web: Callable[[], WebConfigFile | None], people: Authenticator | None = None) -> None:
        self._web = web
        self._people = people or Authenticator()

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return the user whose password a request carries."""
        name = self._people.user(self._users(), str(environ.get("HTTP_AUTHORIZATION", "")))
        return Principal(name, Role.VIEWER) if name else None

    def holds(self) -> bool:
        """Tell whether the file names users."""
        return bool(self._users())

    def _users(self) -> dict[str, bytes]:
        web = self._web()
        return dict(web.current().config.users) if web else {}
