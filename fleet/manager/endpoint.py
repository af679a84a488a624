"""The OpAMP endpoint: WebSocket and plain HTTP on the same paths, as ASGI."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from compose_agent.web.compression import accepts_gzip, gzipped
from fleet.manager.admission import Admission
from fleet.manager.desk import Desk
from fleet.manager.herd import Herd
from fleet.manager.metrics import ManagerMetrics
from fleet.manager.model import Pass, Peer
from fleet.manager.peercert import certificate_of
from fleet.manager.pusher import POLICY_CODE, Pusher
from fleet.manager.registry import Registry
from fleet.opamp.frames import (
    CONTENT_TYPE,
    MAX_MESSAGE_BYTES,
    MalformedMessage,
    OversizeMessage,
    from_body,
    from_frame,
    to_frame,
    unpacked,
)
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

PATHS = ("/v1/opamp", "/agent")
# RFC 6455, 7.4.1. An agent that goes says one of the first two.
_CLEAN_CODES = (1000, 1001)
# One that sends nothing but nonsense is no agent; its log lines would be nonsense as well.
_MOST_MALFORMED = 10
# A peer that does not take its answers holds memory; a heartbeat's answer is twenty bytes.
_SEND_SECONDS = 20.0


class Endpoint:
    """Takes connections and requests of agents; ``stopping`` tells that the manager itself goes away."""

    def __init__(
        self,
        desk: Desk,
        registry: Registry,
        metrics: ManagerMetrics,
        *,
        admission: Admission,
        herd: Herd,
        stopping: Callable[[], bool],
    ) -> None:
        self._desk = desk
        self._registry = registry
        self._admission = admission
        self._herd = herd
        self._metrics = metrics
        self.stopping = stopping

    async def websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        await receive()  # the handshake
        admitted = self._admission.admit(_headers(scope).get("authorization", ""), certificate_of(scope))
        if refusal := self._turned_away(admitted):
            await _deny(receive, send, *refusal)
            return
        assert admitted is not None  # noqa: S101 - it was not turned away
        await send({"type": "websocket.accept"})
        pusher = Pusher(send)
        peer = Peer("websocket", _address(scope), push=pusher.push, end=pusher.end, admitted=admitted)
        code, reason = 1006, "the connection broke"
        try:
            code, reason = await self._converse(peer, receive, send)
        finally:
            pusher.close()
            if not self.stopping():
                self._registry.lose(peer, reason, clean=code in _CLEAN_CODES)

    async def request(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one message over HTTP."""
        headers = _headers(scope)
        status, body, more = await self._respond(scope, headers, receive)
        if status == 200 and accepts_gzip(headers.get("accept-encoding", "")):
            body, more = gzipped(body), [*more, (b"content-encoding", b"gzip")]
        kind = CONTENT_TYPE if status == 200 else "text/plain; charset=utf-8"
        own = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": own + more})
        await send({"type": "http.response.body", "body": body})

    async def _converse(self, peer: Peer, receive: Receive, send: Send) -> tuple[int, str]:
        """Answer messages until the connection ends; return the code and, in words, how that was."""
        malformed = 0
        while True:
            event = await receive()
            if event["type"] == "websocket.disconnect":
                code = int(event.get("code") or 1005)
                return code, _ending(code, str(event.get("reason") or ""))
            reply = self._reply(event, peer)
            malformed += reply.HasField("error_response") and not reply.instance_uid
            if malformed > _MOST_MALFORMED:
                await send({"type": "websocket.close", "code": POLICY_CODE, "reason": "no OpAMP"})
                return POLICY_CODE, "it sent what is no OpAMP"
            try:
                async with asyncio.timeout(_SEND_SECONDS):
                    await send({"type": "websocket.send", "bytes": to_frame(reply)})
            except TimeoutError:
                return 1006, f"it has not taken an answer for {_SEND_SECONDS:g} s"
            except OSError:
                continue  # it is gone; what it said before, perhaps a goodbye, is still to be received

    def _reply(self, event: Event, peer: Peer) -> ServerToAgent:
        data = event.get("bytes")
        if data is None:
            return self._desk.malformed("messages are binary, this one is text")
        try:
            message = from_frame(AgentToServer, data)
        except MalformedMessage as error:
            return self._desk.malformed(error.message)
        return self._answer(message, peer)

    def _answer(self, message: AgentToServer, peer: Peer) -> ServerToAgent:
        began = time.perf_counter()
        reply = self._desk.answer(message, peer)
        self._metrics.messages.labels(peer.transport).inc()
        self._metrics.seconds.observe(time.perf_counter() - began)
        return reply

    async def _respond(
        self, scope: Scope, headers: dict[str, str], receive: Receive
    ) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
        if scope["method"] != "POST":
            return 405, b"agents send POST, or open a WebSocket\n", [(b"allow", b"POST")]
        if headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            return 415, f"expected Content-Type: {CONTENT_TYPE}\n".encode(), []
        admitted = self._admission.admit(headers.get("authorization", ""), certificate_of(scope))
        if refusal := self._turned_away(admitted, counted=False):
            status, text, more = refusal
            return status, text, more
        assert admitted is not None  # noqa: S101 - it was not turned away
        try:
            body = await _body(receive)
            if headers.get("content-encoding", "").lower() == "gzip":
                body = unpacked(body)
            message = from_body(AgentToServer, body)
        except OversizeMessage as error:
            self._metrics.refused("oversize")
            return 413, f"{error}\n".encode(), []
        except MalformedMessage as error:
            self._metrics.refused("malformed")
            return 400, f"{error}\n".encode(), []
        peer = Peer("http", _address(scope), admitted=admitted)
        return 200, self._answer(message, peer).SerializeToString(), []

    def _turned_away(
        self, admitted: Pass | None, *, counted: bool = True
    ) -> tuple[int, bytes, list[tuple[bytes, bytes]]] | None:
        if admitted is None:
            self._metrics.turned_away.labels("token").inc()
            return 401, b"the token is missing or not known here\n", [(b"www-authenticate", b"Bearer")]
        if counted and (seconds := self._herd.wait()):
            self._metrics.turned_away.labels("rate").inc()
            return 503, b"too many agents connect at once\n", [(b"retry-after", b"%d" % seconds)]
        return None


async def _deny(
    receive: Receive, send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
    # The first is that we are done, the second that the connection is closed: uvicorn takes an application
    # that returns before that for a broken one, and says so for each.
    for _ in range(2):
        await receive()


async def _body(receive: Receive) -> bytes:
    """Return a request's body; raises OversizeMessage as soon as it is too long."""
    parts = bytearray()
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise MalformedMessage("the request ended in its middle")
        parts += event.get("body", b"")
        if len(parts) > MAX_MESSAGE_BYTES:
            raise OversizeMessage(f"a message has more than {MAX_MESSAGE_BYTES} bytes")
        if not event.get("more_body"):
            return bytes(parts)


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _ending(code: int, reason: str) -> str:
    if code in _CLEAN_CODES:
        return f"the agent closed the connection{f': {reason}' if reason else ''}"
    if code in {1005, 1006}:
        return "the connection broke without a goodbye"
    return f"the connection was closed with code {code}{f': {reason}' if reason else ''}"
