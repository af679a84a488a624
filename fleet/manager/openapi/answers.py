"""What handlers of the API read and answer, so that every part of it says the same things in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent.config.kinds import Detail
from compose_agent.errors import StateError
from compose_agent.typed import from_json
from compose_agent.web.response import Response
from fleet.manager.openapi.operation import Answer, Problem

T = TypeVar("T")

_STATUSES: Mapping[type[Exception], int] = {StateError: 503, Detail: 400}


def answered(status: int, body: object) -> Response:
    """Return a document as an answer."""
    return Response(status, msgspec.json.encode(body) + b"\n", "application/json")


def problem(status: int, error: str) -> Response:
    """Return an answer that says what is wrong."""
    return answered(status, Problem(error))


def explained(answer: Answer, also: Mapping[type[Exception], int] | None = None) -> Answer:
    """Return ``answer`` with its errors as answers: 400 for what cannot be read, 503 for what cannot be kept.

    ``also`` has the statuses of further errors; every message goes to who asked.
    """
    statuses = {**(also or {}), **_STATUSES}

    def handle(environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
        try:
            return answer(environ, names)
        except tuple(statuses) as error:
            status = next(status for kind, status in statuses.items() if isinstance(error, kind))
            return problem(status, str(error))

    return handle


def decoded(kind: type[T], body: bytes) -> T:
    """Return what a body asks for; Detail says what is wrong."""
    try:
        return from_json(body, kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Detail(f"the body is not what it should be: {error}") from error
