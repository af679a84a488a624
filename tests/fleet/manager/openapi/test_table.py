"""How a request finds its operation, and what it is told otherwise."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated
from wsgiref.types import WSGIEnvironment

import pytest
from msgspec import Meta

from compose_agent.web.response import Response
from fleet.manager.openapi import Operation, Parameter, Table
from fleet.manager.openapi.answers import answered
from fleet.manager.principal import ANYBODY, KEY, LOCAL, Principal, Role


def echo(_environ: WSGIEnvironment, names: Mapping[str, str]) -> Response:
    return answered(200, dict(names))


SIZE = Parameter("size", "How many", Annotated[int, Meta(ge=0, le=9)])
TABLE = Table(
    [
        Operation(method="GET", path="/api/v1/things", summary="All", answer=echo, parameters=(SIZE,)),
        Operation(method="GET", path="/api/v1/things/{thing}", summary="One", answer=echo),
        Operation(
            method="POST", path="/api/v1/things/{thing}/drop", summary="", answer=echo, needs=Role.OPERATOR
        ),
        Operation(method="GET", path="/api/v1/a.json", summary="", answer=echo),
    ]
)


def ask(method: str, path: str, query: str = "", who: Principal = LOCAL) -> tuple[int, dict[str, str]]:
    route = TABLE.route(path)
    assert route is not None
    answer = route[method]({KEY: who, "QUERY_STRING": query})
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/api/v1/things", {}),
        ("/api/v1/things/x", {"thing": "x"}),
        ("/api/v1/things/a%2Fb%20c", {"thing": "a/b c"}),
        ("/api/v1/things/..", {"thing": ".."}),
    ],
)
def test_what_stands_in_the_path_is_given(path: str, names: dict[str, str]) -> None:
    assert ask("GET", path) == (200, names)


@pytest.mark.parametrize(
    "path",
    ["/", "/api/v1", "/api/v1/things/", "/api/v1/things/a/b", "/api/v1/things/x/drop/", "/api/v1/aXjson"],
)
def test_what_is_no_path_of_it_is_left_to_others(path: str) -> None:
    assert TABLE.route(path) is None


def test_methods_are_those_of_the_path() -> None:
    assert set(TABLE.route("/api/v1/things/x/drop") or ()) == {"POST"}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("size=3", ""),
        ("size=10", "size: expected `int` <= 9"),
        ("size=", "size: expected `int`, got `str`"),
        ("size=3&size=x", "size: expected `int`, got `str`"),
        ("sise=3", "sise: no such parameter; there is size"),
    ],
)
def test_a_query_is_held_against_its_types(query: str, error: str) -> None:
    status, said = ask("GET", "/api/v1/things", query)
    assert (status, said.get("error", "")) == (400 if error else 200, error)


def test_a_deed_needs_its_role() -> None:
    assert ask("POST", "/api/v1/things/x/drop")[0] == 200
    refused = (403, {"error": "this needs the role operator"})
    assert ask("POST", "/api/v1/things/x/drop", who=ANYBODY) == refused
