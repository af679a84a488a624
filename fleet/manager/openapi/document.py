"""The OpenAPI document (3.1) of the operations, and the route that gives it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any
from wsgiref.types import WSGIEnvironment

import msgspec

from compose_agent import __version__
from compose_agent.web.compression import compressed
from compose_agent.web.response import Response
from fleet.manager.openapi.answers import answered
from fleet.manager.openapi.operation import Operation, Parameter, Problem

PATH = "/api/v1/openapi.json"
_REFERENCE = "#/components/schemas/{name}"
_NAME = re.compile(r"\{(\w+)\}")
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
# What may be answered to anybody about anything; the gate, the server and the table give them.
_SHARED: Mapping[int, str] = {
    400: "The request cannot be understood; the answer says what is wrong.",
    401: "Nobody has been named, or somebody unknown.",
    403: "Who asks may not do this.",
    503: "It cannot be done now; the same may be asked again.",
}
_WITH_BODY: Mapping[int, str] = {
    408: "The body has not come in time.",
    413: "The body is too long.",
    415: "The body is of another type.",
}
_ABOUT = (
    "The fleet: nodes and everything that is done with them. What somebody may not see does not exist for "
    "them. Over the manager's port a bearer token or a user's password says who asks; over its local socket "
    "everybody is the host's administrator."
)


class OpenApi:
    """Serves the document of the operations that ``parts`` give when it is first asked for."""

    def __init__(self, parts: Callable[[], Iterable[Operation]]) -> None:
        self._parts = parts

    def operations(self) -> Sequence[Operation]:
        """Return the operation that gives the document."""
        about = "This document"
        return [Operation(method="GET", path=PATH, summary=about, answer=self._answer, gives=dict[str, Any])]

    def _answer(self, environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
        return compressed(answered(200, self._document), environ)

    @cached_property
    def _document(self) -> dict[str, Any]:
        return document(self._parts())


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the document of ``operations``."""
    known = list(operations)
    schemas = _Schemas(known)
    paths: dict[str, dict[str, Any]] = {}
    for each in known:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Compose Agent manager", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
        "security": [{"token": []}, {"password": []}, {}],
    }


class _Schemas:
    """The schemas of all types that operations name, each once."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        types: list[Any] = [Problem]
        for each in operations:
            named = (each.gives, each.takes, *each.problems.values(), *(one.type for one in each.parameters))
            types += [one for one in named if one is not None]
        found, self.components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
        self._of = list(zip(types, found, strict=True))

    def __getitem__(self, kind: Any) -> dict[str, Any]:
        return next(schema for known, schema in self._of if known is kind)


def _operation(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    made: dict[str, Any] = {
        "summary": operation.summary,
        "operationId": _id_of(operation),
        "x-needs-role": operation.needs.name.lower(),
        "parameters": [*_in_path(operation), *(_in_query(each, schemas) for each in operation.parameters)],
        "responses": _responses(operation, schemas),
    }
    if operation.takes is not None:
        content = {"application/json": {"schema": schemas[operation.takes]}}
        made["requestBody"] = {"required": True, "content": content}
    return made


def _id_of(operation: Operation) -> str:
    words = [word for word in re.split(r"\W+", operation.path) if word not in {"", "api", "v1"}]
    return "-".join([operation.method.lower(), *words])


def _in_path(operation: Operation) -> list[dict[str, Any]]:
    schema = {"type": "string", "minLength": 1}
    names = _NAME.findall(operation.path)
    return [{"name": name, "in": "path", "required": True, "schema": schema} for name in names]


def _in_query(parameter: Parameter, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas[parameter.type]
    return {"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema}


def _responses(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    shared = {**_SHARED, **(_WITH_BODY if operation.method != "GET" else {}), **operation.refuses}
    found = {
        str(operation.status): {"description": operation.summary, "content": _content(operation, schemas)}
    }
    for status, about in sorted(shared.items()):
        schema = schemas[operation.problems.get(status, Problem)]
        # The server itself says what it refuses in plain words.
        content = {"application/json": {"schema": schema}, **_TEXT}
        found[str(status)] = {"description": about, "content": content}
    return found


def _content(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    schema = {"type": "string"} if operation.gives is None else schemas[operation.gives]
    return {operation.media: {"schema": schema}}
