"""Scrapes for who reaches this host only over its link: a role's own ``/metrics``, nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_msgpack
from compose_agent.web.compression import gzipped
from compose_agent.web.localclient import LocalAnswer, LocalClient
from fleet.envelopes.relay import ASK, CAPABILITY, MOST_BYTES, PART, PART_BYTES, Ask, Part

logger = logging.getLogger(__name__)

_METRICS = "/metrics"
_TEXT = "text/plain; charset=utf-8"
# The roles of a host, each scraped now and then; more than that at once is a manager gone wrong.
_THREADS = 2
_MOST_WAITING = 16
# A scrape takes some milliseconds; whoever asks for longer than Prometheus' own limit waits for nothing.
_LONGEST_SECONDS = 60.0


class Send(Protocol):
    """Sends a custom message, and tells whether it is under way."""

    def __call__(self, capability: str, kind: str, data: bytes, /) -> bool: ...  # noqa: D102


class Relay:
    """The agent's half of the capability; ``roles`` gives the names of those that run on this host."""

    def __init__(self, send: Send, run_dir: Path, roles: Callable[[], Collection[str]]) -> None:
        self._send = send
        self._run_dir = run_dir
        self._roles = roles
        self._pool = ThreadPoolExecutor(_THREADS, "agent-relay")
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)

    def connected(self) -> None:
        """Do nothing: questions come from the manager."""

    def take(self, kind: str, data: bytes) -> None:
        """Have a question answered; one too many is not, and whoever asked waits in vain."""
        if kind != ASK:
            return
        try:
            ask = from_msgpack(data, Ask)
        except msgspec.MsgspecError as error:
            logger.warning("a question for metrics cannot be read", extra={"error": str(error)})
            return
        if self._waiting.acquire(blocking=False):
            self._pool.submit(self._answer, ask).add_done_callback(lambda _done: self._waiting.release())

    def stop(self) -> None:
        """End, without what still waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _answer(self, ask: Ask) -> None:
        for part in parts_of(ask.id, self._scrape(ask)):
            if not self._send(CAPABILITY, PART, msgspec.msgpack.encode(part)):
                return  # the link is gone, and with it whoever asked

    def _scrape(self, ask: Ask) -> LocalAnswer:
        if ask.role not in self._roles():
            return _said(404, f"this host does not run the role {ask.role}")
        seconds = min(ask.seconds, _LONGEST_SECONDS)
        headers = {"Accept": ask.accept, "X-Prometheus-Scrape-Timeout-Seconds": f"{seconds:g}"}
        try:
            return LocalClient(self._run_dir, ask.role, seconds).answer("GET", _METRICS, headers=headers)
        except ComposeAgentError as error:
            return _said(502, str(error))
        except Exception as error:  # the thread's end: who asked is told rather than left to wait
            logger.exception("a scrape for the manager failed")
            return _said(500, repr(error))


def parts_of(number: int, answer: LocalAnswer) -> list[Part]:
    """Return an answer in the pieces in which it is sent."""
    packed = gzipped(answer.body)
    if len(packed) > MOST_BYTES:
        return parts_of(number, _said(502, f"the metrics have more than {MOST_BYTES} bytes, packed"))
    pieces = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
    last = len(pieces) - 1
    return [
        Part(number, at, at == last, answer.status, answer.kind, piece) for at, piece in enumerate(pieces)
    ]


def _said(status: int, text: str) -> LocalAnswer:
    return LocalAnswer(status, f"{text}\n".encode(), _TEXT)
