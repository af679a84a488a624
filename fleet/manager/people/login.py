"""The form with which a person logs in, and how they log out."""

from __future__ import annotations

from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from compose_agent.web.auth import Busy
from compose_agent.web.formguard import TOKEN_FIELD, Forged, FormGuard
from compose_agent.web.page import Pages
from compose_agent.web.response import Response, RouteTable, body_of
from fleet.manager.people.gate import LOGIN, LOGOUT
from fleet.manager.people.sessions import Sessions
from fleet.manager.people.ways import Passwords
from fleet.manager.principal import principal_of

_LONGEST_NEXT = 1000


class LoginPage:
    """Checks names and passwords with ``passwords``, and begins and ends ``sessions``."""

    def __init__(self, pages: Pages, passwords: Passwords, sessions: Sessions, forms: FormGuard) -> None:
        self._pages = pages
        self._passwords = passwords
        self._sessions = sessions
        self._forms = forms

    def routes(self) -> RouteTable:
        """Return the form's routes."""
        return {
            LOGIN: {"GET": self._show, "POST": self._log_in},
            LOGOUT: {"GET": self._show_out, "POST": self._log_out},
        }

    def _show(self, environ: WSGIEnvironment) -> Response:
        query = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
        return self._page(environ, query.get("next", [""])[-1])

    def _log_in(self, environ: WSGIEnvironment) -> Response:
        fields = parse_qs(body_of(environ).decode("utf-8", "replace"), errors="replace")
        form = {name: values[-1] for name, values in fields.items()}
        following = form.get("next", "")
        try:
            self._forms.check(environ, form.get(TOKEN_FIELD, ""))
            found = self._passwords.check(form.get("name", ""), form.get("password", ""), environ)
        except (Forged, Busy) as error:
            return self._page(environ, following, 403 if isinstance(error, Forged) else 429, str(error))
        if found is None:
            return self._page(environ, following, 401, "There is nobody with this name and password.")
        # A new session, whatever cookie came: one that somebody has slipped in never becomes a known one.
        cookie = self._sessions.begin(found.name, environ)
        return Response(303, b"", headers=(cookie, ("Location", _inside(following))))

    def _show_out(self, environ: WSGIEnvironment) -> Response:
        who, out = principal_of(environ), self._forms.give(environ)
        seen = "all environments" if who.environments is None else ", ".join(sorted(who.environments))
        return self._pages.html(
            environ,
            "logout.html",
            headers=out.headers,
            token=out.token,
            person=who.name,
            role=who.role.name.lower(),
            environments=seen,
            links=[],
        )

    def _log_out(self, environ: WSGIEnvironment) -> Response:
        return Response(303, b"", headers=(self._sessions.end(environ), ("Location", f".{LOGIN}")))

    def _page(
        self, environ: WSGIEnvironment, following: str, status: int = 200, problem: str = ""
    ) -> Response:
        out = self._forms.give(environ)
        return self._pages.html(
            environ,
            "login.html",
            status=status,
            headers=out.headers,
            token=out.token,
            problem=problem,
            next=following[:_LONGEST_NEXT],
            links=[],
        )


def _inside(following: str) -> str:
    """Return a relative address of our own; what leads elsewhere leads to the first page."""
    harmless = following.isascii() and following.isprintable() and not set(following) & set(":\\ ")
    return f"./{following.lstrip('/')}" if harmless and len(following) <= _LONGEST_NEXT else "./"
