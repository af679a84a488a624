"""A small answer, and the routes that give such answers, over plain WSGI (PEP 3333)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from wsgiref.types import WSGIEnvironment

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication


@dataclass(frozen=True, slots=True)
class Response:
    """An answer whose whole body is known."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def text(cls, status: int, text: str, *headers: tuple[str, str]) -> Response:
        """Answer with one line of text."""
        return cls(status, f"{text}\n".encode(), headers=headers)

    @classmethod
    def json(cls, status: int, data: object) -> Response:
        """Answer with a JSON document."""
        return cls(status, json.dumps(data).encode() + b"\n", "application/json")

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send the answer as a WSGI application."""
        own = [("Content-Type", self.content_type), ("Content-Length", str(len(self.body)))]
        start_response(f"{self.status} {HTTPStatus(self.status).phrase}", [*own, *self.headers])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.body]


Handler = Callable[[WSGIEnvironment], Response]
# Path → method → handler.
RouteTable = Mapping[str, Mapping[str, Handler]]


def routed(table: RouteTable, otherwise: WSGIApplication | None = None) -> WSGIApplication:
    """Return an application that answers the exact paths in ``table`` and leaves the rest to ``otherwise``.

    HEAD is answered where GET is; a method that a path does not have gets 405.
    """
    rest = otherwise or Response.text(404, "not found")

    def dispatch(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        methods = table.get(environ["PATH_INFO"])
        if methods is None:
            return rest(environ, start_response)
        return _answer(methods, environ)(environ, start_response)

    return dispatch


def _answer(methods: Mapping[str, Handler], environ: WSGIEnvironment) -> Response:
    method = str(environ["REQUEST_METHOD"])
    handler = methods.get("GET" if method == "HEAD" else method)
    if handler is None:
        return Response.text(405, "method not allowed", ("Allow", ", ".join(sorted(methods))))
    return handler(environ)


def body_of(environ: WSGIEnvironment) -> bytes:
    """Return the whole body of a request; the server has bounded it."""
    stream: Any = environ["wsgi.input"]
    return bytes(stream.read())
