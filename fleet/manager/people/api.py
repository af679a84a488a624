"""People, tokens and the audit as JSON: ``/api/v1/people``, ``/api/v1/tokens``, ``/api/v1/audit``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs, unquote
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.errors import StateError
from compose_agent.web.compression import compressed
from compose_agent.web.response import Handler, Response, RouteTable, body_of
from fleet.manager.people.audit import Audit, tell
from fleet.manager.people.directory import Directory
from fleet.manager.people.model import (
    Kind,
    Person,
    Refused,
    Scope,
    Token,
    environments_of,
    name_of,
    role_of,
)
from fleet.manager.people.sessions import Sessions
from fleet.manager.principal import Principal, Role, principal_of

PEOPLE, TOKENS, AUDIT = "/api/v1/people", "/api/v1/tokens", "/api/v1/audit"
_ENTRIES, _MOST_ENTRIES = 100, 1000
_LONGEST_LIFE = 10 * 366 * 86400.0
_MOST_USES = 1_000_000

T = TypeVar("T")


class _PersonDraft(msgspec.Struct, forbid_unknown_fields=True):
    role: str
    environments: list[str] | None = None
    password: str | None = None


class _TokenDraft(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    kind: str = "api"
    role: str = "viewer"
    environments: list[str] | None = None
    expires_in: float | None = None  # seconds
    uses: int | None = None


@dataclass(frozen=True, slots=True)
class _Absent(Exception):
    what: str


class PeopleApi:
    """For administrators; who sees some environments only has to do with people and tokens of those."""

    def __init__(self, directory: Directory, sessions: Sessions, audit: Audit) -> None:
        self._directory = directory
        self._sessions = sessions
        self._audit = audit

    def routes(self) -> RouteTable:
        """Return the routes of exact paths."""
        return {
            PEOPLE: {"GET": _for_admins(self._people)},
            TOKENS: {"GET": _for_admins(self._tokens), "POST": _for_admins(self._issue)},
            AUDIT: {"GET": self._entries},
        }

    def route(self, path: str) -> dict[str, Handler] | None:
        """Return the methods of a path below the lists, None for a path that is none."""
        folder, _, last = path.rpartition("/")
        name = unquote(last)
        if folder == PEOPLE and name:
            put = _for_admins(lambda environ: self._put(environ, name))
            return {"PUT": put, "DELETE": _for_admins(lambda environ: self._remove(environ, name))}
        if folder == TOKENS and name:
            return {"DELETE": _for_admins(lambda environ: self._revoke(environ, name))}
        return None

    def _people(self, environ: WSGIEnvironment) -> Response:
        asker = principal_of(environ)
        shown = [_person(each) for each in self._directory.people() if each.scope.within(asker)]
        return Response.json(200, {"people": shown})

    def _put(self, environ: WSGIEnvironment, name: str) -> Response:
        draft = _decoded(environ, _PersonDraft)
        scope = Scope(role_of(draft.role), environments_of(draft.environments))
        asker = principal_of(environ)
        _require_within(scope, asker)
        before = self._directory.person(name_of(name))
        if before and not before.scope.within(asker):
            raise Refused(f"the name {name} is taken")
        tell(environ, *(scope.environments or ()), person=name)
        made = self._directory.put_person(name, scope, draft.password)
        if draft.password is not None:
            self._sessions.end_all(name)
        return Response.json(200 if before else 201, _person(made))

    def _remove(self, environ: WSGIEnvironment, name: str) -> Response:
        found = self._directory.person(name)
        if found is None or not found.scope.within(principal_of(environ)):
            raise _Absent(f"there is nobody called {name}")
        tell(environ, *(found.scope.environments or ()), person=name)
        self._directory.remove_person(name)
        self._sessions.end_all(name)
        return Response.json(200, _person(found))

    def _tokens(self, environ: WSGIEnvironment) -> Response:
        asker = principal_of(environ)
        shown = [_token(each) for each in self._directory.tokens() if each.scope.within(asker)]
        return Response.json(200, {"tokens": shown})

    def _issue(self, environ: WSGIEnvironment) -> Response:
        draft = _decoded(environ, _TokenDraft)
        kind = _kind(draft.kind)
        # An agent that joins asks for nothing over the API: the role of its token is the least one.
        role = role_of(draft.role) if kind is Kind.API else Role.VIEWER
        scope = Scope(role, environments_of(draft.environments))
        _require_within(scope, principal_of(environ))
        _require_bounds(draft, kind)
        token, text = self._directory.issue(name_of(draft.name), kind, scope, draft.expires_in, draft.uses)
        tell(environ, *(scope.environments or ()), token=token.id)
        return Response.json(201, _token(token) | {"token": text})

    def _revoke(self, environ: WSGIEnvironment, id: str) -> Response:
        found = self._directory.token(id)
        if found is None or not found.scope.within(principal_of(environ)):
            raise _Absent(f"there is no token {id}")
        tell(environ, *(found.scope.environments or ()), token=id)
        self._directory.revoke(id)
        return Response.json(200, _token(found))

    def _entries(self, environ: WSGIEnvironment) -> Response:
        query = parse_qs(str(environ.get("QUERY_STRING", "")), errors="replace")
        before = _number(query.get("before", []), 0)
        most = min(_number(query.get("limit", []), _ENTRIES), _MOST_ENTRIES)
        try:
            found = self._audit.entries(before, most, principal_of(environ)) if most else []
        except StateError as error:
            return Response.json(500, {"error": str(error)})
        return compressed(Response.json(200, {"entries": msgspec.to_builtins(found)}), environ)


def _for_admins(handler: Handler) -> Handler:
    """Let administrators in, and turn what is wrong with a request into an answer."""

    def answer(environ: WSGIEnvironment) -> Response:
        if not principal_of(environ).may(Role.ADMIN):
            return Response.json(403, {"error": "this needs the role admin"})
        try:
            return handler(environ)
        except _Absent as error:
            return Response.json(404, {"error": error.what})
        except Refused as error:
            return Response.json(400, {"error": str(error)})
        except StateError as error:
            return Response.json(503, {"error": f"it is not on disk, and did not happen: {error}"})

    return answer


def _decoded(environ: WSGIEnvironment, kind: Callable[..., T]) -> T:
    try:
        return msgspec.json.decode(body_of(environ), type=kind)  # type: ignore[no-any-return]
    except msgspec.DecodeError as error:
        raise Refused(f"the body is not what it should be: {error}") from None


def _require_within(scope: Scope, asker: Principal) -> None:
    if not scope.within(asker):
        raise Refused("nobody can give away more than they have: name environments of your own")


def _require_bounds(draft: _TokenDraft, kind: Kind) -> None:
    if draft.expires_in is not None and not 0 < draft.expires_in <= _LONGEST_LIFE:
        raise Refused("expires_in is a number of seconds above 0, of ten years at most")
    if draft.uses is not None and (kind is Kind.API or not 0 < draft.uses <= _MOST_USES):
        raise Refused(f"uses is for join tokens, a number from 1 to {_MOST_USES}")


def _kind(text: str) -> Kind:
    try:
        return Kind(text)
    except ValueError:
        raise Refused(f"there is no kind {text!r} of token, expected api or join") from None


def _person(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        **_scope(person.scope),
        "has_password": bool(person.password),
        "created_at": person.created_at,
    }


def _token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "kind": token.kind.value,
        **_scope(token.scope),
        "created_at": token.created_at,
        "expires_at": token.expires_at or None,
        "uses_left": token.uses_left,
    }


def _scope(scope: Scope) -> dict[str, Any]:
    seen = scope.environments
    return {"role": scope.role.name.lower(), "environments": None if seen is None else sorted(seen)}


def _number(values: Sequence[str], default: int) -> int:
    text = values[-1] if values else ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else default
