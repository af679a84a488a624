"""The receiver's routes: ``/webhook`` for Alertmanager, ``/v1/…`` for processes of this host."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from wsgiref.types import WSGIEnvironment

from compose_agent.cloudevents import CONTENT_TYPE, PATH
from compose_agent.errors import ComposeAgentError
from compose_agent.web.response import Response
from remediation.model import Signal, Source
from remediation.receiver import alertmanager, cloudevents
from remediation.receiver.alertmanager import Truncated
from remediation.receiver.doors import Doors
from remediation.receiver.limits import read_body, require_type
from remediation.receiver.received import Received
from remediation.receiver.refusal import Refusal, Why
from remediation.receiver.signatures import Replays
from remediation.traces.receipt import Reply, receipt, reply, traceparent

if TYPE_CHECKING:
    from compose_agent.web.response import RouteTable

WEBHOOK_PATH = "/webhook"
# Of the local socket: what the agent's link brings from the manager.
HANDED_ON_PATH = "/v1/notifications"
_EXPLANATION = (
    "POST notifications of Alertmanager here (webhook_configs, version 4); see docs/remediation.md."
)

# Returns when the signals are on disk; raises ComposeAgentError when they are not.
Receive = Callable[[Sequence[Signal]], None]


@dataclass(slots=True)
class Receiver:
    """Turns requests into signals, hands them to ``receive``, and answers when they are on disk.

    ``truncated`` is told, afterwards, of alerts that a notification left out; it must be quick. ``doors`` may
    be replaced at any time; ``replays`` is to be kept then. ``clock`` gives Unix seconds.
    """

    receive: Receive
    doors: Doors
    truncated: Callable[[Truncated], None] = lambda _truncated: None
    received: Received = field(default_factory=Received)
    replays: Replays = field(default_factory=Replays)
    clock: Callable[[], float] = time.time

    def webhook(self, environ: WSGIEnvironment) -> Response:
        """Answer 202 to a notification of Alertmanager."""
        return self._answer(Source.ALERTMANAGER, environ, self._take_notification)

    def notification(self, environ: WSGIEnvironment) -> Response:
        """Answer 202 to a notification that a process of this host hands on; for the local socket only."""
        return self._answer(Source.ALERTMANAGER, environ, self._take_handed_on)

    def trigger(self, environ: WSGIEnvironment) -> Response:
        """Answer 202 to a CloudEvent; for the local socket only, where nobody is asked who it is."""
        return self._answer(Source.TRIGGER, environ, self._take_trigger)

    def _answer(
        self, source: Source, environ: WSGIEnvironment, take: Callable[[WSGIEnvironment], Reply]
    ) -> Response:
        try:
            return Response.json(202, take(environ))
        except Refusal as refusal:
            remote = str(environ.get("REMOTE_ADDR", ""))
            self.received.refuse(source, refusal.why, remote, str(refusal.__cause__ or refusal))
            return refusal.response()

    def _take_notification(self, environ: WSGIEnvironment) -> Reply:
        began, start, doors = time.monotonic(), time.time_ns(), self.doors
        signed = doors.access.judge_head(environ)
        if doors.bucket and not doors.bucket.take():
            raise Refusal(Why.RATE, "too many requests")
        require_type(environ, alertmanager.CONTENT_TYPE)
        body = read_body(environ, doors.body_limit)
        digest = doors.access.judge_body(environ, body) if signed else b""
        return self._take_alerts(environ, body, began, start, digest=digest)

    def _take_handed_on(self, environ: WSGIEnvironment) -> Reply:
        began, start = time.monotonic(), time.time_ns()
        require_type(environ, alertmanager.CONTENT_TYPE)
        return self._take_alerts(environ, read_body(environ, self.doors.body_limit), began, start)

    def _take_alerts(
        self, environ: WSGIEnvironment, body: bytes, began: float, start: int, *, digest: bytes = b""
    ) -> Reply:
        # Whoever is turned away before this leaves no trace: a flood would push out those of actions.
        with receipt(environ, WEBHOOK_PATH, start) as span:
            found = alertmanager.parse(body, self.clock(), traceparent(span, environ))
            try:
                self._keep(found.signals)
            except BaseException:
                self.replays.forget(digest)
                raise
            left_out = found.truncated.number if found.truncated else 0
            self.received.count(Source.ALERTMANAGER, found.signals, time.monotonic() - began, left_out)
            if found.truncated:
                self.truncated(found.truncated)
            return reply(span, len(found.signals))

    def _take_trigger(self, environ: WSGIEnvironment) -> Reply:
        began, start = time.monotonic(), time.time_ns()
        require_type(environ, CONTENT_TYPE)
        body = read_body(environ, self.doors.body_limit)
        with receipt(environ, PATH, start) as span:
            signals = [cloudevents.parse(body, self.clock(), traceparent(span, environ))]
            self._keep(signals)
            self.received.count(Source.TRIGGER, signals, time.monotonic() - began)
            return reply(span, len(signals))

    def _keep(self, signals: Sequence[Signal]) -> None:
        if not signals:
            return
        try:
            self.receive(signals)
        except ComposeAgentError as error:
            # What is wrong with the disk is for the log, not for whoever sends alerts.
            raise Refusal(Why.NOT_DURABLE, "not stored, send it again") from error


def webhook_routes(receiver: Receiver) -> RouteTable:
    """Return the routes for addresses that Alertmanager reaches."""
    explain = Response.text(200, _EXPLANATION)
    return {WEBHOOK_PATH: {"GET": lambda _environ: explain, "POST": receiver.webhook}}


def trigger_routes(receiver: Receiver) -> RouteTable:
    """Return the routes for the local socket."""
    return {PATH: {"POST": receiver.trigger}, HANDED_ON_PATH: {"POST": receiver.notification}}
