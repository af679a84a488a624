"""Hands alerts that come over the link to this host's remediation, in their order.

An alert that comes again, because the answer was lost with its connection, is answered again and not handed
on. After a restart of the agent it is: the remediation role knows an occurrence by its fingerprint and start,
and counts the second as a duplicate.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_msgpack
from compose_agent.web.localclient import LocalClient
from fleet.envelopes.alert import ALERT, CAPABILITY, TAKEN, Alert, Taken

logger = logging.getLogger(__name__)

_PATH = "/v1/notifications"
_ROLE = "remediation"
# It answers when the alert is on disk.
_SECONDS = 15.0
# The manager keeps what is not answered, and sends it again.
_MOST_WAITING = 256
# Answers that are remembered; the manager has far fewer under way.
_MOST_REMEMBERED = 1024


class Send(Protocol):
    """Sends a custom message, and tells whether it is under way."""

    def __call__(self, capability: str, kind: str, data: bytes, /) -> bool: ...  # noqa: D102


class AlertTaker:
    """The agent's half of the capability: one thread, so that no alert overtakes another."""

    def __init__(self, send: Send, run_dir: Path) -> None:
        self._send = send
        self._remediation = LocalClient(run_dir, _ROLE, _SECONDS)
        self._waiting: queue.Queue[Alert | None] = queue.Queue(_MOST_WAITING)
        self._answers: OrderedDict[str, Taken] = OrderedDict()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-alerts", daemon=True)

    def start(self) -> None:
        """Begin to hand on."""
        self._thread.start()

    def stop(self) -> None:
        """End; what waits is sent by the manager again."""
        self._stopping.set()
        with suppress(queue.Full):  # then there is something that wakes the thread
            self._waiting.put_nowait(None)

    def connected(self) -> None:
        """Do nothing: the manager sends what has no answer."""

    def take(self, kind: str, data: bytes) -> None:
        """Take an alert."""
        if kind != ALERT:
            return
        try:
            self._waiting.put_nowait(from_msgpack(data, Alert))
        except (msgspec.MsgspecError, queue.Full) as error:
            logger.warning("an alert of the manager is not taken", extra={"error": str(error)})

    def _run(self) -> None:
        while (alert := self._waiting.get()) is not None:
            if self._stopping.is_set():
                return
            taken = self._answers.get(alert.id) or self._answer(alert)
            self._send(CAPABILITY, TAKEN, msgspec.msgpack.encode(taken))

    def _answer(self, alert: Alert) -> Taken:
        try:
            taken = self._hand_on(alert)
        except Exception as error:  # the next alert must come
            logger.exception("an alert could not be handed on")
            return Taken(alert.id, repr(error), again=True)
        if not taken.again:
            self._answers[alert.id] = taken
            while len(self._answers) > _MOST_REMEMBERED:
                self._answers.popitem(last=False)
        return taken

    def _hand_on(self, alert: Alert) -> Taken:
        headers = {"Content-Type": "application/json"}
        if alert.traceparent:
            headers["traceparent"] = alert.traceparent
        try:
            status, body = self._remediation.request("POST", _PATH, alert.body, headers)
        except ComposeAgentError as error:
            return Taken(alert.id, error.message, again=True)
        if status == 202:
            return Taken(alert.id)
        said = body.decode("utf-8", "replace").strip()[:300]
        return Taken(alert.id, f"remediation answers {status} {said}", again=status >= 500 or status == 429)
