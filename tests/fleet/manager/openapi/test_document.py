"""The OpenAPI document follows from the operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from wsgiref.types import WSGIEnvironment

from msgspec import Meta

from compose_agent.web.response import Response
from fleet.manager.openapi import Operation, Parameter
from fleet.manager.openapi.document import document
from fleet.manager.principal import Role


@dataclass
class Thing:
    name: str
    size: int | None


@dataclass
class Taken:
    error: str
    by: str


def never(_environ: WSGIEnvironment, _names: Mapping[str, str]) -> Response:
    raise AssertionError


ADD = Operation(
    method="PUT",
    path="/api/v1/things/{thing}",
    summary="Add a thing",
    answer=never,
    takes=Thing,
    gives=Thing,
    status=201,
    parameters=(Parameter("size", "How large", Annotated[int, Meta(ge=1)]),),
    refuses={409: "Somebody has it."},
    problems={409: Taken},
    needs=Role.ADMIN,
)


def test_an_operation_is_described_by_its_types() -> None:
    made = document([ADD])["paths"]["/api/v1/things/{thing}"]["put"]
    assert made["operationId"] == "put-things-thing"
    assert made["x-needs-role"] == "admin"
    assert [(one["name"], one["in"]) for one in made["parameters"]] == [("thing", "path"), ("size", "query")]
    assert made["parameters"][1]["schema"] == {"type": "integer", "minimum": 1}
    thing = {"$ref": "#/components/schemas/Thing"}
    assert made["requestBody"]["content"]["application/json"]["schema"] == thing
    assert made["responses"]["201"]["content"]["application/json"]["schema"] == thing
    taken = {"$ref": "#/components/schemas/Taken"}
    assert made["responses"]["409"]["content"]["application/json"]["schema"] == taken
    assert {"400", "401", "403", "408", "413", "415", "503"} <= set(made["responses"])


def test_a_type_stands_there_once() -> None:
    schemas = document([ADD, ADD])["components"]["schemas"]
    assert set(schemas) == {"Problem", "Thing", "Taken"}
    assert schemas["Thing"]["properties"]["size"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}


def test_what_is_only_read_has_no_body() -> None:
    get = Operation(method="GET", path="/api/v1/things", summary="", answer=never, media="text/plain")
    made = document([get])["paths"]["/api/v1/things"]["get"]
    assert "requestBody" not in made
    assert "413" not in made["responses"]
    assert made["responses"]["200"]["content"] == {"text/plain": {"schema": {"type": "string"}}}
