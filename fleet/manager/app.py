"""Everything on the manager's port: agents, people, programs; one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from io import BytesIO
from wsgiref.types import WSGIEnvironment

from compose_agent.web.propagation import incoming_trace
from compose_agent.web.response import Handler, Response
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.endpoint import PATHS, Endpoint, Receive, Scope, Send
from fleet.manager.later import Later
from fleet.manager.page.events import EVENTS, Events
from fleet.manager.page.pulse import Pulse
from fleet.manager.peercert import address_of
from fleet.manager.people.gate import PEER, SAFE_METHODS
from fleet.manager.people.parts import People

# The largest thing that somebody sends is a configuration of many files, or the alerts of a bad night.
MAX_BODY_BYTES = 1024 * 1024
# A body comes within this time, or its sender only holds a place.
_BODY_SECONDS = 30.0
# A web page elsewhere that has its visitors' browsers ask here for its own name gets nothing.
_NOSNIFF = (b"x-content-type-options", b"nosniff")

Find = Callable[[str], dict[str, Handler] | None]


class App:
    """Sends agents to ``endpoint``, and whom ``people`` let in to the handler ``find`` has for a path."""

    def __init__(
        self, endpoint: Endpoint, find: Find, people: People, web: WebConfigFile | None, pulse: Pulse
    ) -> None:
        self._endpoint = endpoint
        self._find = find
        self._people = people
        self._web = web
        self._events = Events(self._page, pulse, endpoint.stopping)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or request."""
        if scope["type"] == "websocket" and scope["path"] in PATHS:
            await self._endpoint.websocket(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})  # before the handshake: 403
        elif scope["path"] in PATHS:
            await self._endpoint.request(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == EVENTS and scope["method"] == "GET":
            await self._follow(environ_of(scope), scope, receive, send)
        elif scope["type"] == "http":
            await _send(scope, await self._respond(environ_of(scope), receive), self._headers(), send)

    async def _respond(self, environ: WSGIEnvironment, receive: Receive) -> Response:
        # Passwords and pages of thousands of nodes take a while, and agents are not to wait for them.
        found = await asyncio.to_thread(self._admitted, environ)
        if isinstance(found, Response):
            return found
        if environ["REQUEST_METHOD"] not in SAFE_METHODS:
            body = await _body(environ, receive)
            if isinstance(body, Response):
                return body
            if refusal := self._people.gate.confirm(environ, body):
                return refusal
            environ["wsgi.input"] = BytesIO(body)
            environ["CONTENT_LENGTH"] = str(len(body))
        answer = await asyncio.to_thread(self._answer, found, environ)
        return await answer.arrived() if isinstance(answer, Later) else answer

    async def _follow(self, environ: WSGIEnvironment, scope: Scope, receive: Receive, send: Send) -> None:
        first = await self._events.first(environ)
        if first.status == 200:
            await self._events.stream(environ, first, receive, send)
        else:
            await _send(scope, first, self._headers(), send)

    async def _page(self, environ: WSGIEnvironment) -> Response:
        found = await asyncio.to_thread(self._admitted, environ)
        return found if isinstance(found, Response) else await asyncio.to_thread(self._answer, found, environ)

    def _admitted(self, environ: WSGIEnvironment) -> Handler | Response:
        """Return the handler for who may ask, else the answer."""
        if refusal := self._people.gate.admit(environ):
            return refusal
        methods = self._find(environ["PATH_INFO"])
        if methods is None:
            return Response.text(404, "not found")
        method = environ["REQUEST_METHOD"]
        handler = methods.get("GET" if method == "HEAD" else method)
        if handler is None:
            return Response.text(405, "method not allowed", ("Allow", ", ".join(sorted(methods))))
        return handler

    def _answer(self, handler: Handler, environ: WSGIEnvironment) -> Response:
        with incoming_trace(environ):
            return self._people.auditor.handle(handler, environ)

    def _headers(self) -> list[tuple[bytes, bytes]]:
        given = self._web.current().config.headers if self._web else {}
        return [_NOSNIFF, *((name.lower().encode(), value.encode()) for name, value in dict(given).items())]


def environ_of(scope: Scope) -> WSGIEnvironment:
    """Return a request's line and headers as WSGI has them, for handlers that need no more."""
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"],
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "REMOTE_ADDR": scope["client"][0] if scope.get("client") else "",
        "wsgi.url_scheme": scope["scheme"],
        PEER: address_of(scope),
    }
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        environ[key] = value.decode("latin-1")
    environ["CONTENT_TYPE"] = environ.get("HTTP_CONTENT_TYPE", "")
    return environ


async def _body(environ: WSGIEnvironment, receive: Receive) -> bytes | Response:
    """Return a request's whole body, or the answer to one that is too long, too slow or cut off."""
    too_long = Response.text(413, f"a body has at most {MAX_BODY_BYTES} bytes")
    length = str(environ.get("HTTP_CONTENT_LENGTH", ""))
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        return too_long
    parts = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return Response.text(400, "the request ended in its middle")
                parts += event.get("body", b"")
                if len(parts) > MAX_BODY_BYTES:
                    return too_long
                if not event.get("more_body"):
                    return bytes(parts)
    except TimeoutError:
        return Response.text(408, f"the body has not come within {_BODY_SECONDS:g} s")


async def _send(scope: Scope, answer: Response, more: list[tuple[bytes, bytes]], send: Send) -> None:
    own = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in own]
    assert answer.status in set(HTTPStatus)  # noqa: S101 - handlers are our own
    await send({"type": "http.response.start", "status": answer.status, "headers": headers + more})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
