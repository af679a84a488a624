"""The pages of people, tokens and the audit: who may do what, and who has done what."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from compose_agent.audit.chain import Entry
from compose_agent.dockerd.overview import words
from compose_agent.errors import StateError
from compose_agent.web.response import Response, RouteTable
from fleet.manager.page.frame import Frame
from fleet.manager.people.audit import Audit
from fleet.manager.people.directory import Directory
from fleet.manager.people.model import Kind, Person, Scope, Token
from fleet.manager.principal import Role, principal_of

PEOPLE, TOKENS, AUDIT = "/people", "/tokens", "/audit"
_ENTRIES = 200


class AccessPages:
    """Shows what somebody may see of it; it is changed over the API and from the terminal."""

    def __init__(
        self, frame: Frame, directory: Directory, audit: Audit, now: Callable[[], float] = time.time
    ) -> None:
        self._frame = frame
        self._directory = directory
        self._audit = audit
        self._now = now

    def routes(self) -> RouteTable:
        """Return the pages."""
        return {
            PEOPLE: {"GET": self._people},
            TOKENS: {"GET": self._tokens},
            AUDIT: {"GET": self._entries},
        }

    def _people(self, environ: WSGIEnvironment) -> Response:
        who = principal_of(environ)
        shown = [each for each in self._directory.people() if each.scope.within(who)]
        return self._table(
            environ, PEOPLE, "people", list(map(_person, shown)) if _administers(who) else None
        )

    def _tokens(self, environ: WSGIEnvironment) -> Response:
        who, now = principal_of(environ), self._now()
        shown = [each for each in self._directory.tokens() if each.scope.within(who)]
        lines = [_token(each, now) for each in shown] if _administers(who) else None
        return self._table(environ, TOKENS, "tokens", lines)

    def _entries(self, environ: WSGIEnvironment) -> Response:
        trouble = ""
        try:
            found = self._audit.entries(0, _ENTRIES, principal_of(environ))
        except StateError as error:
            found, trouble = [], str(error)
        return self._table(environ, AUDIT, "audit", list(map(_entry, found)), trouble)

    def _table(
        self,
        environ: WSGIEnvironment,
        section: str,
        name: str,
        lines: list[dict[str, Any]] | None,
        trouble: str = "",
    ) -> Response:
        query = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
        return self._frame.html(
            environ,
            f"{name}_live.html" if "fragment" in query else f"{name}.html",
            section=section,
            lines=lines,
            trouble=trouble,
            time=words.clock(self._now()),
        )


def _administers(principal: Any) -> bool:
    return bool(principal.may(Role.ADMIN))


def _person(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "since": words.date(person.created_at),
        "proof": "password" if person.password else "proxy",
        **_scope(person.scope),
    }


def _token(token: Token, now: float) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "joins": token.kind is Kind.JOIN,
        "since": words.date(token.created_at),
        "over": not token.holds(now) or token.uses_left == 0,
        "expires": words.date(token.expires_at) if token.expires_at else "never",
        "uses": words.DASH if token.uses_left is None else str(token.uses_left),
        **_scope(token.scope),
    }


def _entry(entry: Entry) -> dict[str, Any]:
    said: Mapping[str, Any] = entry.fields
    status = said.get("status")
    return {
        "seq": entry.seq,
        "at": words.date(entry.at),
        "kind": entry.kind,
        "actor": said.get("actor", ""),
        "what": f"{said.get('method', '')} {said.get('path', '')}".strip(),
        "about": ", ".join(f"{kind} {name}" for kind, name in entry.subjects.items()),
        "environments": ", ".join(said.get("environments", ())),
        "came": str(status) if status else "",
        "level": "bad" if isinstance(status, int) and status >= 400 else "",
        "trace": said.get("trace", ""),
    }


def _scope(scope: Scope) -> dict[str, Any]:
    seen = scope.environments
    return {
        "role": scope.role.name.lower(),
        "environments": "all" if seen is None else ", ".join(sorted(seen)),
    }
