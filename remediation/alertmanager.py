"""What is asked of the configured Alertmanager: alerts, silences, and to take an alert of our own.

Its API is alertmanager/api/v2/openapi.yaml. Nothing here ever calls an address that came in a notification.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as NoAnswer

from compose_agent import __version__
from compose_agent.errors import ComposeAgentError
from remediation.model import Signal, Source
from remediation.policies.matchers import Matcher
from remediation.receiver.alertmanager import Labels, Moment, unix_seconds

T = TypeVar("T")

# It answers from memory; who asks is about to act, and can ask again.
SECONDS = 5.0
# Tens of thousands of alerts.
MOST_BYTES = 32 << 20
_PIECE_BYTES = 64 << 10
_EXCERPT = 200
# Two threads at once; more wait, or open a connection that is not kept.
_KEPT_CONNECTIONS = 2
_OPERATORS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}


class AlertmanagerError(ComposeAgentError):
    """Alertmanager did not answer, or not with what was asked for."""


@dataclass(frozen=True, slots=True)
class Silence:
    """An active silence: all its matchers must hold; ``unreadable`` counts those that cannot be judged."""

    id: str
    comment: str
    matchers: Sequence[Matcher]
    unreadable: int = 0

    def covers(self, labels: Mapping[str, str]) -> bool:
        """Tell whether labels are silenced; what cannot be judged counts as matching: then we keep still."""
        return all(matcher.matches(labels) for matcher in self.matchers)


@dataclass(frozen=True, slots=True)
class Silences:
    """The silences that were active when they were asked for."""

    active: Sequence[Silence]

    def of(self, labels: Mapping[str, str]) -> Silence | None:
        """Return a silence that covers these labels, or None."""
        return next((silence for silence in self.active if silence.covers(labels)), None)


class _Silencer(msgspec.Struct):
    name: str
    value: str
    is_regex: bool = msgspec.field(name="isRegex")
    is_equal: bool = msgspec.field(name="isEqual", default=True)  # since 0.22


class _Status(msgspec.Struct):
    state: str


class _Silence(msgspec.Struct):
    id: str
    status: _Status
    matchers: list[_Silencer]
    comment: str = ""


class _Alert(msgspec.Struct):
    labels: Labels
    fingerprint: str
    starts_at: Moment = msgspec.field(name="startsAt")
    annotations: Labels | None = None


class Alertmanager:
    """The API at ``url``; each call takes about ``seconds`` at most. Thread-safe.

    Redirects are not followed and proxies of the environment not used. Every call raises AlertmanagerError.
    """

    def __init__(
        self,
        url: str,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._url = url
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._clock = clock
        self._pool = urllib3.PoolManager(
            maxsize=_KEPT_CONNECTIONS,
            headers={"User-Agent": f"compose-agent/{__version__}", "Accept-Encoding": "identity"},
        )

    def alerts(self, labels: Mapping[str, str], receiver: str = "") -> list[Signal]:
        """Return the alerts that fire and have these labels, as the webhook of ``receiver`` would name them.

        Those that are silenced or inhibited are left out, since they are not sent to a webhook either.
        """
        query = [("active", "true"), ("silenced", "false"), ("inhibited", "false"), ("unprocessed", "false")]
        query += [("filter", str(Matcher(name, "=", value))) for name, value in labels.items()]
        if receiver:
            query.append(("receiver", re.escape(receiver)))  # which anchors it
        found = self._get(f"/api/v2/alerts?{urlencode(query)}", list[_Alert])
        now = self._clock()
        return [_signal(alert, now) for alert in found]

    def silences(self) -> Silences:
        """Return the silences that are active now."""
        found = self._get("/api/v2/silences", list[_Silence])
        return Silences([_silence(each) for each in found if each.status.state == "active"])

    def raise_alert(
        self, labels: Mapping[str, str], annotations: Mapping[str, str], *, ends_at: float = 0.0
    ) -> None:
        """Raise an alert of our own; ``labels`` have its ``alertname``.

        Without ``ends_at`` (Unix seconds) it ends by Alertmanager's ``resolve_timeout`` if it is not raised
        again; with a time that has passed it is resolved.
        """
        alert: dict[str, Any] = {"labels": labels, "annotations": annotations}
        if ends_at:
            alert["endsAt"] = datetime.fromtimestamp(ends_at, UTC).isoformat(timespec="milliseconds")
        self._ask("POST", "/api/v2/alerts", msgspec.json.encode([alert]))

    def close(self) -> None:
        """Close the connections that are kept."""
        self._pool.clear()

    def _get(self, path: str, kind: type[T]) -> T:
        body = self._ask("GET", path)
        try:
            return msgspec.json.decode(body, type=kind)
        except (ValueError, RecursionError) as error:
            raise self._wrong(f"has answered what is no answer of Alertmanager ({error})") from error

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        try:
            response = self._pool.request(
                method,
                self._url + path,
                body=body,
                headers={"Content-Type": "application/json"} if body else None,
                timeout=urllib3.Timeout(total=self._seconds),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                data = self._read(response)
            finally:
                response.close()  # a connection whose answer was read to its end is kept all the same
        except HTTPError as error:
            if isinstance(error, NoAnswer) and not isinstance(error, NewConnectionError):
                raise self._wrong(f"has not answered within {self._seconds:g} s") from error
            raise self._wrong(f"cannot be asked ({_said(error)})") from error
        if response.status != 200:
            excerpt = " ".join(data[:_EXCERPT].decode("utf-8", "replace").split())
            raise self._wrong(f"has answered {response.status} ({excerpt or 'nothing'})")
        return data

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        end = time.monotonic() + self._seconds
        data = bytearray()
        while piece := response.read1(_PIECE_BYTES):
            data += piece
            if len(data) > self._most_bytes:
                raise self._wrong(f"has answered more than {self._most_bytes} bytes")
            if time.monotonic() > end:
                raise self._wrong(f"has not sent its answer within {self._seconds:g} s")
        return bytes(data)

    def _wrong(self, what: str) -> AlertmanagerError:
        remedy = "check remediation.alertmanager.url, and that it is running"
        return AlertmanagerError(f"Alertmanager at {self._url} {what}", remedy=remedy)


def _signal(alert: _Alert, now: float) -> Signal:
    return Signal(
        source=Source.ALERTMANAGER,
        name=alert.labels.get("alertname", ""),
        fingerprint=alert.fingerprint,
        firing=True,
        starts_at=unix_seconds(alert.starts_at),
        labels=alert.labels,
        annotations=alert.annotations or {},
        received_at=now,
    )


def _silence(given: _Silence) -> Silence:
    matchers, unreadable = [], 0
    for each in given.matchers:
        try:
            matchers.append(Matcher(each.name, _OPERATORS[each.is_equal, each.is_regex], each.value))
        except ValueError:
            unreadable += 1
    return Silence(given.id, given.comment, matchers, unreadable)


def _said(error: HTTPError) -> str:
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return str(getattr(cause, "strerror", None) or cause or type(cause).__name__)
