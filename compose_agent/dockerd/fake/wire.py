"""Requests and answers between the socket and the routes."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

from compose_agent.dockerd.fake.dialect import Dialect, Version
from compose_agent.dockerd.fake.errors import ApiError

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """A request; ``path`` is without the version, ``version`` the one asked for or the Engine's newest."""

    method: str
    path: str
    version: Version
    query: dict[str, str] = field(default_factory=dict)
    content_type: str = ""
    body: bytes = b""

    @property
    def call(self) -> str:
        """``METHOD /path``, as faults and the recording know the request."""
        return f"{self.method} {self.path}"

    def flag(self, name: str) -> bool:
        """Return a true or false of the query, read as the Engine reads it."""
        return self.query.get(name, "").lower() not in ("", "0", "no", "false", "none")

    def integer(self, name: str) -> int | None:
        """Return a number of the query, None when it is not there; raise the Engine's 500 otherwise."""
        text = self.query.get(name, "")
        if not text:
            return None
        try:
            return int(text)
        except ValueError:
            raise ApiError(500, f'strconv.Atoi: parsing "{text}": invalid syntax') from None

    def json(self, dialect: Dialect) -> Json:
        """Return the body; raise what the Engine answers to a missing or broken one."""
        if not self.content_type.startswith("application/json"):
            raise ApiError(400, _wrong_type(self.content_type, dialect))
        try:
            parsed = json.loads(self.body)
        except ValueError:
            what = "got EOF while reading request body" if not self.body else "invalid character"
            if dialect.modern:
                raise ApiError(400, f"invalid JSON: {what}") from None
            raise ApiError(500, "EOF" if not self.body else what) from None
        return parsed if isinstance(parsed, dict) else {}


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; a ``stream`` is sent in chunks, an empty chunk being a look whether the client is there."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    stream: Generator[bytes, None, None] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def json_response(value: Any, status: int = 200) -> Response:
    """Return an answer in JSON, with the newline that the Engine ends it with."""
    return Response(status, encoded(value), "application/json")


def encoded(value: Any) -> bytes:
    """Return a value as the Engine writes JSON: no blanks, one newline."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def error_response(status: int, message: str, *, plain: bool = False) -> Response:
    """Return an error in the Engine's shape; 304 has no body, very old clients get plain text."""
    if status == 304:
        return Response(status)
    if plain:
        return Response(status, f"{message}\n".encode(), "text/plain; charset=utf-8")
    return json_response({"message": message}, status)


def _wrong_type(content_type: str, dialect: Dialect) -> str:
    if dialect.modern:
        return f"unsupported Content-Type header ({content_type}): must be 'application/json'"
    return f"Content-Type specified ({content_type}) must be 'application/json'"
