"""People, tokens and the audit as JSON: ``/api/v1/people``, ``/api/v1/tokens``, ``/api/v1/audit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

from msgspec import Meta

from compose_agent.audit.chain import Entry
from compose_agent.web.compression import compressed
from compose_agent.web.response import Response, body_of
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.answers import answered, decoded, explained
from fleet.manager.people import documents
from fleet.manager.people.audit import Audit, tell
from fleet.manager.people.directory import Directory
from fleet.manager.people.documents import PersonDraft, PersonShown, TokenDraft, TokenShown
from fleet.manager.people.model import Kind, Refused, Scope, environments_of, kind_of, name_of, role_of
from fleet.manager.people.sessions import Sessions
from fleet.manager.principal import Principal, Role, principal_of

PEOPLE, TOKENS, AUDIT = "/api/v1/people", "/api/v1/tokens", "/api/v1/audit"
_ENTRIES, _MOST_ENTRIES = 100, 1000


class _AbsentError(Exception):
    """What was asked for is not there, or not for who asks."""


_answer = partial(explained, also={_AbsentError: 404, Refused: 400})


class PeopleApi:
    """For administrators; who sees some environments only has to do with people and tokens of those."""

    def __init__(self, directory: Directory, sessions: Sessions, audit: Audit) -> None:
        self._directory = directory
        self._sessions = sessions
        self._audit = audit

    def operations(self) -> Sequence[Operation]:
        """Return what can be asked."""
        return [*self._of_people(), *self._of_tokens(), self._of_the_audit()]

    def _of_people(self) -> list[Operation]:
        admin, one = partial(Operation, needs=Role.ADMIN), f"{PEOPLE}/{{person}}"
        absent = {404: "There is nobody of this name."}
        return [
            admin(
                method="GET",
                path=PEOPLE,
                summary="People with their roles",
                answer=_answer(self._people),
                gives=documents.People,
            ),
            admin(
                method="PUT",
                path=one,
                summary="Make somebody, or change their role, environments or password",
                answer=_answer(self._put),
                takes=PersonDraft,
                gives=PersonShown,
            ),
            admin(
                method="DELETE",
                path=one,
                summary="Remove somebody; their sessions end",
                answer=_answer(self._remove),
                gives=PersonShown,
                refuses=absent,
            ),
        ]

    def _of_tokens(self) -> list[Operation]:
        admin = partial(Operation, needs=Role.ADMIN)
        return [
            admin(
                method="GET",
                path=TOKENS,
                summary="Tokens, without their texts",
                answer=_answer(self._tokens),
                gives=documents.Tokens,
            ),
            admin(
                method="POST",
                path=TOKENS,
                summary="Make a token; the answer is the only place where its text stands",
                answer=_answer(self._issue),
                takes=TokenDraft,
                gives=TokenShown,
                status=201,
            ),
            admin(
                method="DELETE",
                path=f"{TOKENS}/{{token}}",
                summary="Revoke a token",
                answer=_answer(self._revoke),
                gives=TokenShown,
                refuses={404: "There is no such token."},
            ),
        ]

    def _of_the_audit(self) -> Operation:
        return Operation(
            method="GET",
            path=AUDIT,
            summary="What was changed and by whom, the newest first",
            answer=_answer(self._entries),
            gives=documents.Entries,
            parameters=(
                Parameter("before", "Only entries below this number", Annotated[int, Meta(ge=0, le=2**53)]),
                Parameter("limit", "How many at most", Annotated[int, Meta(ge=1, le=_MOST_ENTRIES)]),
            ),
        )

    def _people(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        asker = principal_of(environ)
        shown = [PersonShown.of(each) for each in self._directory.people() if each.scope.within(asker)]
        return answered(200, documents.People(shown))

    def _put(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        draft, name = decoded(PersonDraft, body_of(environ)), name_of(names["person"])
        scope = Scope(role_of(draft.role), environments_of(draft.environments))
        asker = principal_of(environ)
        _require_within(scope, asker)
        before = self._directory.person(name)
        if before and not before.scope.within(asker):
            raise Refused(f"the name {name} is taken")
        tell(environ, *(scope.environments or ()), person=name)
        made = self._directory.put_person(name, scope, draft.password)
        if draft.password is not None:
            self._sessions.end_all(name)
        return answered(200, PersonShown.of(made))

    def _remove(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        name = names["person"]
        found = self._directory.person(name)
        if found is None or not found.scope.within(principal_of(environ)):
            raise _AbsentError(f"there is nobody called {name}")
        tell(environ, *(found.scope.environments or ()), person=name)
        self._directory.remove_person(name)
        self._sessions.end_all(name)
        return answered(200, PersonShown.of(found))

    def _tokens(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        asker = principal_of(environ)
        shown = [TokenShown.of(each) for each in self._directory.tokens() if each.scope.within(asker)]
        return answered(200, documents.Tokens(shown))

    def _issue(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        draft = decoded(TokenDraft, body_of(environ))
        kind = kind_of(draft.kind)
        if kind is Kind.API and draft.uses is not None:
            raise Refused("uses is for tokens of the kind join")
        # An agent that joins asks for nothing over the API: the role of its token is the least one.
        role = role_of(draft.role) if kind is Kind.API else Role.VIEWER
        scope = Scope(role, environments_of(draft.environments))
        _require_within(scope, principal_of(environ))
        token, text = self._directory.issue(name_of(draft.name), kind, scope, draft.expires_in, draft.uses)
        tell(environ, *(scope.environments or ()), token=token.id)
        return answered(201, TokenShown.of(token, text))

    def _revoke(self, environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        found = self._directory.token(names["token"])
        if found is None or not found.scope.within(principal_of(environ)):
            raise _AbsentError(f"there is no token {names['token']}")
        tell(environ, *(found.scope.environments or ()), token=found.id)
        self._directory.revoke(found.id)
        return answered(200, TokenShown.of(found))

    def _entries(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        given = parse_qs(str(environ.get("QUERY_STRING", "")))
        before = int(given.get("before", ["0"])[-1])
        most = int(given.get("limit", [str(_ENTRIES)])[-1])
        found = self._audit.entries(before, most, principal_of(environ))
        return compressed(answered(200, documents.Entries(list(map(_shown, found)))), environ)


def _require_within(scope: Scope, asker: Principal) -> None:
    if not scope.within(asker):
        raise Refused("nobody can give away more than they have: name environments of your own")


def _shown(entry: Entry) -> documents.EntryShown:
    return documents.EntryShown(entry.seq, entry.at, entry.kind, entry.subjects, entry.fields, entry.hash)
