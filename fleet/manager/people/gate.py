"""Who is let in over TCP: each request gets the principal that it proves, or an answer that says no.

A request that changes something has to come from who may do so at all. Where the proof is one that a browser
sends along by itself (a cookie, a password that it keeps), it must not come from a page of somebody else
either: cross-site request forgery. A session's cookie needs the token of one of our pages besides. What a
program puts into its requests itself needs no such rules.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qs, quote
from wsgiref.types import WSGIEnvironment

from compose_agent.web.auth import CHALLENGE, Busy
from compose_agent.web.formguard import TOKEN_FIELD, Forged, FormGuard, is_same_origin
from compose_agent.web.response import Response
from compose_agent.web.webconfig import RateLimit
from fleet.manager.people.limits import Buckets
from fleet.manager.principal import ANYBODY, KEY, Principal, Role

SAFE_METHODS = frozenset({"GET", "HEAD"})
LOGIN, LOGOUT = "/login", "/logout"
# Where a script of our pages puts the token that a form has in a field.
TOKEN_HEADER = "HTTP_X_FORM_TOKEN"  # noqa: S105 - a name
_FORM = "application/x-www-form-urlencoded"
_WAY = "compose_agent.way"
# The address that a connection comes from, a proxy's if there is one, in a request's environment.
PEER = "compose_agent.peer"
# Answered to everybody: it tells nothing of nodes, and without it nobody could log in.
_OPEN = frozenset({"/-/healthy", "/-/ready", LOGIN})
_OPEN_FOLDER = "/static/"


class Way(Protocol):
    """One way to prove who one is.

    ``ambient``: a browser sends the proof along by itself. ``needs_token``: what changes something has to
    carry the token of a page.
    """

    ambient: bool
    needs_token: bool

    def find(self, environ: WSGIEnvironment) -> Principal | None:
        """Return who a request proves to come from, None when it proves nothing; raises Busy."""

    def holds(self) -> bool:
        """Tell whether there is somebody who could prove something in this way."""


@dataclass(frozen=True, slots=True)
class _Nobody:
    """The way of who proves nothing, where everybody may look."""

    ambient: bool = True
    needs_token: bool = False


class Gate:
    """Tries ``ways`` in their order; while none of them holds anybody, everybody may look.

    ``rate`` is how many requests somebody may make in a second; ``forms`` guards those of pages.
    """

    def __init__(
        self, ways: Sequence[Way], forms: FormGuard, rate: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ways = ways
        self._forms = forms
        self._buckets = Buckets(RateLimit(interval=1 / rate, burst=rate), clock)

    def admit(self, environ: WSGIEnvironment) -> Response | None:
        """Put who asks into ``environ``, or return the answer to who is not let in."""
        path = environ["PATH_INFO"]
        if path in _OPEN or path.startswith(_OPEN_FOLDER):
            return self._enter(environ, _Nobody(), ANYBODY)
        try:
            way, principal = self._find(environ)
        except Busy as error:
            return Response.text(429, str(error), ("Retry-After", "6"))
        if principal is None:
            return _unknown(environ)
        return self._enter(environ, way, principal) or _refused_change(environ, way, principal)

    def confirm(self, environ: WSGIEnvironment, body: bytes) -> Response | None:
        """Return the answer to a change that has to carry a page's token, and does not."""
        if not environ[_WAY].needs_token:
            return None
        try:
            self._forms.check(environ, _token(environ, body))
        except Forged as error:
            return Response.json(403, {"error": str(error)})
        return None

    def _enter(self, environ: WSGIEnvironment, way: Way | _Nobody, principal: Principal) -> Response | None:
        environ[KEY], environ[_WAY] = principal, way
        environ["REMOTE_USER"] = principal.name
        who = f"address {environ.get('REMOTE_ADDR')}" if principal is ANYBODY else principal.name
        if self._buckets.of(who).take():
            return None
        return Response.text(429, "too many requests", ("Retry-After", "1"))

    def _find(self, environ: WSGIEnvironment) -> tuple[Way | _Nobody, Principal | None]:
        for way in self._ways:
            if found := way.find(environ):
                return way, found
        # Whoever is asked for a name and gives none is not let in because somebody else has one.
        return _Nobody(), None if any(way.holds() for way in self._ways) else ANYBODY


def _refused_change(environ: WSGIEnvironment, way: Way | _Nobody, principal: Principal) -> Response | None:
    if environ["REQUEST_METHOD"] in SAFE_METHODS:
        return None
    if way.ambient and not is_same_origin(environ):
        return Response.json(403, {"error": "the page of another site has sent this; nothing was done"})
    if environ["PATH_INFO"] != LOGOUT and not principal.may(Role.OPERATOR):
        return Response.json(403, {"error": f"{principal.name} may look, and change nothing"})
    return None


def _unknown(environ: WSGIEnvironment) -> Response:
    """Ask a person with a browser to log in, and a program for what proves who it is."""
    path, query = str(environ["PATH_INFO"]), str(environ.get("QUERY_STRING", ""))
    shows = "text/html" in str(environ.get("HTTP_ACCEPT", ""))
    if shows and environ["REQUEST_METHOD"] in SAFE_METHODS and not path.startswith("/api/"):
        # Relative, because a proxy may have put us under a path.
        asked = quote(path.lstrip("/") + (f"?{query}" if query else ""), safe="")
        up = "../" * (path.count("/") - 1)
        return Response(303, b"", headers=(("Location", f"{up}.{LOGIN}?next={asked}"),))
    # The script of a page would have its browser ask for a password in a window of its own.
    challenge = "Bearer" if environ.get("HTTP_SEC_FETCH_SITE") else CHALLENGE
    return Response.text(401, "unauthorized", ("WWW-Authenticate", challenge))


def _token(environ: WSGIEnvironment, body: bytes) -> str:
    if given := environ.get(TOKEN_HEADER):
        return str(given)
    if str(environ.get("CONTENT_TYPE", "")).partition(";")[0].strip().lower() != _FORM:
        return ""
    fields = parse_qs(body.decode("utf-8", "replace"))
    return fields.get(TOKEN_FIELD, [""])[-1]
