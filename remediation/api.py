"""What people and other processes of this host ask the role, on its local socket.

==========================  =================================================================================
``GET /v1/overview``        how everything stands: see :class:`remediation.overview.Overview`
``GET /v1/actions``         the latest actions, newest first; ``limit``, ``state``, ``policy``, ``target``,
                            ``since`` (Unix seconds), ``like`` (a part of the target's name)
``GET /v1/why?word=``       accounts of what was done about an alert, a fingerprint, a target, or an id
``POST /v1/freeze``         ``{"by": …, "why": …}``: begin nothing any more
``POST /v1/thaw``           ``{"by": …, "why": …}``: go on
``POST /v1/approve``        ``{"id": …, "by": …, "why": …}``: let an action go on that waits for a person
``POST /v1/deny``           ``{"id": …, "by": …, "why": …}``: end it
==========================  =================================================================================

400 for what cannot be read, 409 for what does not fit what there is, 503 when it could not be put on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.errors import StateError
from compose_agent.typed import convert, from_json
from compose_agent.web.response import Handler, Response, RouteTable, body_of
from remediation.history import Filter, rows
from remediation.journal import Journal
from remediation.operations import NotPossible, Operations
from remediation.overview import Observer
from remediation.why import explain, gather

MOST_ROWS = 10_000
_ROWS = 50


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who says something, and why."""

    by: str
    why: str = ""


class SaidOf(Said, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who says something about an action, by its id or the beginning of it."""

    id: str


def reading_routes(
    journal: Journal,
    observer: Observer,
    policies: Callable[[], Container[str]],
    now: Callable[[], float] = time.time,
) -> RouteTable:
    """Return the routes of questions; ``policies`` gives the names of those in force."""

    def overview(_environ: WSGIEnvironment) -> Response:
        return _json(200, observer.overview())

    def actions(environ: WSGIEnvironment) -> Response:
        limit, wanted = _wanted(environ)
        return _json(200, journal.read(lambda view: rows(view, wanted, limit)))

    def why(environ: WSGIEnvironment) -> Response:
        if not (word := _query(environ).get("word", "")):
            return _error(400, "name an alert, a fingerprint, a container, a service or an id with word=")
        evidence = journal.read(lambda view: gather(view, word))
        return _json(200, explain(evidence, policies(), now()))

    found = {"/v1/overview": overview, "/v1/actions": actions, "/v1/why": why}
    return {path: {"GET": _explained(handler)} for path, handler in found.items()}


def writing_routes(operations: Operations) -> RouteTable:
    """Return the routes that change something: for the local socket only, as they ask nobody who they are."""

    def freeze(environ: WSGIEnvironment) -> Response:
        said = from_json(body_of(environ), Said)
        return _json(200, {"frozen": operations.freeze(said.by, said.why)})

    def thaw(environ: WSGIEnvironment) -> Response:
        said = from_json(body_of(environ), Said)
        operations.thaw(said.by, said.why)
        return _json(200, {"frozen": ""})

    def approve(environ: WSGIEnvironment) -> Response:
        said = from_json(body_of(environ), SaidOf)
        return _json(200, operations.approve(said.id, said.by, said.why))

    def deny(environ: WSGIEnvironment) -> Response:
        said = from_json(body_of(environ), SaidOf)
        return _json(200, operations.deny(said.id, said.by, said.why))

    found = {"/v1/freeze": freeze, "/v1/thaw": thaw, "/v1/approve": approve, "/v1/deny": deny}
    return {path: {"POST": _explained(handler)} for path, handler in found.items()}


def _explained(handler: Handler) -> Handler:
    def answer(environ: WSGIEnvironment) -> Response:
        try:
            return handler(environ)
        except NotPossible as error:
            return _error(409, str(error))
        except StateError as error:
            return _error(503, str(error))
        except (msgspec.DecodeError, ValueError) as error:
            return _error(400, str(error))

    return answer


def _wanted(environ: WSGIEnvironment) -> tuple[int, Filter]:
    query = _query(environ)
    limit = min(int(query.pop("limit", _ROWS)), MOST_ROWS)
    return limit, convert(query, Filter, strict=False)


def _query(environ: WSGIEnvironment) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}


def _json(status: int, value: object) -> Response:
    return Response(status, msgspec.json.encode(value) + b"\n", "application/json")


def _error(status: int, message: str) -> Response:
    return _json(status, {"error": message})
