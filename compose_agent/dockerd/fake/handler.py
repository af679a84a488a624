"""From one HTTP request to its answer: version, route, fault."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from compose_agent.dockerd.fake import (
    routes_containers,
    routes_control,
    routes_exec,
    routes_objects,
    routes_system,
    routes_verbs,
)
from compose_agent.dockerd.fake.dialect import JSON_ERRORS_SINCE, Version, parse_version, version_text
from compose_agent.dockerd.fake.errors import ApiError
from compose_agent.dockerd.fake.faults import GARBAGE, Fault
from compose_agent.dockerd.fake.routes import find
from compose_agent.dockerd.fake.wire import Request, Response, error_response

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose_agent.dockerd.fake.core import Core

TABLE = (
    *routes_system.ROUTES,
    *routes_containers.ROUTES,
    *routes_verbs.ROUTES,
    *routes_exec.ROUTES,
    *routes_objects.ROUTES,
    *routes_control.ROUTES,
)
_VERSIONED = re.compile(r"/v(\d+\.\d+)(/.*)")


class HangUp(Exception):
    """The connection is to be closed without a word."""


def parse(core: Core, method: str, target: str, content_type: str, body: bytes) -> Request:
    """Return the request that an HTTP request line, a type and a body stand for."""
    parts = urlsplit(target)
    versioned = _VERSIONED.fullmatch(parts.path)
    version = parse_version(versioned[1]) if versioned else core.dialect.api
    path = unquote(versioned[2] if versioned else parts.path)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, path, version, query, content_type, body)


def answer(
    core: Core,
    request: Request,
    fault: Fault | None = None,
    hang: Callable[[], object] = lambda: None,
) -> Response:
    """Return the answer to a request, spoilt by the fault when that is of the kind that replaces answers.

    ``hang`` returns when the fault is cleared.
    """
    if fault is None or fault.kind in ("slow", "slow-body", "late", "reset-body", "truncate"):
        return _respond(core, request)
    if fault.acts:
        _respond(core, request)
    if fault.kind == "error":
        return error_response(fault.status, fault.message)
    if fault.kind == "garbage":
        return Response(200, GARBAGE, "application/json")
    if fault.kind == "wrong":
        return Response(200, fault.body.encode(), "application/json")
    if fault.kind == "hang":
        hang()
    raise HangUp


def headers(core: Core, response: Response) -> dict[str, str]:
    """Return the headers that the Engine puts on an answer, beside length and date."""
    own = {
        "Api-Version": version_text(core.dialect.api),
        "Docker-Experimental": "false",
        "Ostype": "linux",
        "Server": f"Docker/{core.dialect.release} (linux)",
    }
    typed = {"Content-Type": response.content_type} if response.content_type else {}
    return own | typed | response.headers


def _respond(core: Core, request: Request) -> Response:
    try:
        return _dispatch(core, request)
    except ApiError as error:
        return error_response(error.status, error.message, plain=request.version < JSON_ERRORS_SINCE)


def _dispatch(core: Core, request: Request) -> Response:
    found = find(TABLE, core, request)
    if found is None:
        raise ApiError(404, "page not found")
    _check_version(core, request.version)
    handler, call = found
    return handler(call)


def _check_version(core: Core, version: Version) -> None:
    asked = version_text(version)
    if version > core.dialect.api:
        newest = version_text(core.dialect.api)
        words = f"client version {asked} is too new. Maximum supported API version is {newest}"
        raise ApiError(400, words)
    if version < core.dialect.minimum:
        oldest = version_text(core.dialect.minimum)
        advice = "please upgrade your client to a newer version"
        words = f"client version {asked} is too old. Minimum supported API version is {oldest}, {advice}"
        raise ApiError(400, words)
