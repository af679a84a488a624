"""Everything on the manager's port: agents, people, programs; one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from wsgiref.types import WSGIEnvironment

from compose_agent.web.auth import CHALLENGE, Authenticator, Busy
from compose_agent.web.response import Handler, Response
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.endpoint import PATHS, Endpoint, Receive, Scope, Send

# What is neither page nor API is answered without credentials: it tells nothing.
_OPEN = ("/-/healthy", "/-/ready")
# A web page elsewhere that has its visitors' browsers ask here for its own name gets nothing.
_NOSNIFF = (b"x-content-type-options", b"nosniff")

Find = Callable[[str], dict[str, Handler] | None]


class App:
    """Sends agents to ``endpoint`` and everybody else to the handler that ``find`` has for their path."""

    def __init__(self, endpoint: Endpoint, find: Find, web: WebConfigFile | None) -> None:
        self._endpoint = endpoint
        self._find = find
        self._web = web
        self._people = Authenticator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection or request."""
        if scope["type"] == "websocket" and scope["path"] in PATHS:
            await self._endpoint.websocket(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})  # before the handshake: 403
        elif scope["path"] in PATHS:
            await self._endpoint.request(scope, receive, send)
        elif scope["type"] == "http":
            # Pages of thousands of nodes take a while, and agents are not to wait for them.
            await _send(
                scope, await asyncio.to_thread(self._respond, environ_of(scope)), self._headers(), send
            )

    def _respond(self, environ: WSGIEnvironment) -> Response:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if refusal := None if path in _OPEN else self._refusal(environ):
            return refusal
        methods = self._find(path)
        if methods is None:
            return Response.text(404, "not found")
        handler = methods.get("GET" if method == "HEAD" else method)
        # What changes something is for the host itself, over the local socket.
        if handler is None or method not in {"GET", "HEAD"}:
            return Response.text(405, "method not allowed", ("Allow", "GET, HEAD"))
        return handler(environ)

    def _refusal(self, environ: WSGIEnvironment) -> Response | None:
        users = self._web.current().config.users if self._web else {}
        if not users:
            return None
        try:
            if self._people.user(users, environ.get("HTTP_AUTHORIZATION", "")):
                return None
        except Busy as error:
            return Response.text(503, str(error), ("Retry-After", "1"))
        return Response.text(401, "unauthorized", ("WWW-Authenticate", CHALLENGE))

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
    }
    for name, value in scope["headers"]:
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        environ[key] = value.decode("latin-1")
    return environ


async def _send(scope: Scope, answer: Response, more: list[tuple[bytes, bytes]], send: Send) -> None:
    own = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.body))), *answer.headers]
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in own]
    assert answer.status in set(HTTPStatus)  # noqa: S101 - handlers are our own
    await send({"type": "http.response.start", "status": answer.status, "headers": headers + more})
    body = b"" if scope["method"] == "HEAD" else answer.body
    await send({"type": "http.response.body", "body": body})
