"""Questions that are under way to agents, and what has come of their answers."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

import msgspec

from compose_agent.typed import from_msgpack
from compose_agent.web.response import Response
from fleet.envelopes.relay import ASK, CAPABILITY, MOST_BYTES, PART, Ask, Part
from fleet.manager.model import Node

logger = logging.getLogger(__name__)

# A Prometheus that asks a thousand agents each few seconds has a few dozen under way.
MOST_OPEN = 500
# What all answers that are not yet whole may hold together.
MOST_HELD_BYTES = 128 * 1024 * 1024


class Send(Protocol):
    """Sends a custom message to an agent, and tells whether it is under way."""

    def __call__(self, uid: bytes, capability: str, kind: str, data: bytes, /) -> bool: ...  # noqa: D102


class Busy(Exception):
    """So many questions are under way that no more are asked."""


class Gone(Exception):
    """The agent is not there to be asked."""


@dataclass(slots=True)
class _Open:
    uid: bytes
    coming: Future[Response]
    pieces: list[bytes] = field(default_factory=list)
    size: int = 0


class Relay:
    """The manager's half of the capability. ``ask`` is for any thread, ``take`` for the agents' loop."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._open: dict[int, _Open] = {}
        self._held = 0

    def ask(self, uid: bytes, role: str, accept: str, seconds: float) -> Future[Response]:
        """Ask for a role's metrics; the answer's body is gzip. Raises Busy and Gone.

        Whoever does not want it any more cancels what is returned.
        """
        coming: Future[Response] = Future()
        with self._lock:
            if len(self._open) >= MOST_OPEN:
                raise Busy
            number = next(self._numbers)
            self._open[number] = _Open(uid, coming)
        coming.add_done_callback(lambda _done: self._close(number))
        if not self._send(uid, CAPABILITY, ASK, msgspec.msgpack.encode(Ask(number, role, accept, seconds))):
            coming.cancel()
            raise Gone
        return coming

    def arrived(self, node: Node) -> None:
        """Do nothing: what was asked over another connection is not asked again, its scrape is over."""

    def take(self, node: Node, kind: str, data: bytes) -> None:
        """Take a part of an answer; what nobody waits for any more, or was not asked, is dropped."""
        try:
            part = from_msgpack(data, Part) if kind == PART else None
        except msgspec.MsgspecError:
            logger.debug("a part of an answer cannot be read", extra={"node_id": node.node_id})
            return
        if part is None:
            return
        with self._lock:
            known = self._open.get(part.id)
            if known is None or known.uid != node.uid:
                return
            known.pieces.append(part.data)
            known.size += len(part.data)
            self._held += len(part.data)
            whole = part.number == len(known.pieces) - 1
            fits = known.size <= MOST_BYTES and self._held <= MOST_HELD_BYTES
        if not whole or not fits:
            _settle(known.coming, Response.text(502, "the agent's answer is too long, or not whole"))
        elif part.last:
            _settle(known.coming, _packed(part, b"".join(known.pieces)))

    def _close(self, number: int) -> None:
        with self._lock:
            if known := self._open.pop(number, None):
                self._held -= known.size


def _settle(coming: Future[Response], answer: Response) -> None:
    if coming.set_running_or_notify_cancel():
        coming.set_result(answer)


def _packed(part: Part, body: bytes) -> Response:
    # An agent's word for a type or a status goes no further than into what Prometheus makes of it.
    status = part.status if part.status in {200, 404, 500, 502, 503} else 502
    kind = part.kind if part.kind.isprintable() and part.kind.isascii() else "text/plain"
    return Response(status, body, kind, (("Content-Encoding", "gzip"),))
