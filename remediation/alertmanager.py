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

from compose_agent.matchers import Matcher
from compose_agent.typed import from_json
from remediation.httpapi import MOST_BYTES, SECONDS, HttpApi, HttpError, Peer, idempotency, no_credentials
from remediation.model import Signal, Source
from remediation.receiver.alertmanager import Labels, Moment, unix_seconds

T = TypeVar("T")

# What this agent raises itself: that it did something, and that nothing has helped.
ACTION_ALERT, GIVEN_UP_ALERT = "ComposeAgentAction", "ComposeAgentGaveUp"
OWN_ALERTS = (ACTION_ALERT, GIVEN_UP_ALERT)
_REMEDY = "check remediation.alertmanager.url, and that it is running"
_OPERATORS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}


class AlertmanagerError(HttpError):
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
    """The API at ``url``, see HttpApi; every call raises AlertmanagerError. Thread-safe."""

    def __init__(
        self,
        url: str,
        *,
        seconds: float = SECONDS,
        most_bytes: int = MOST_BYTES,
        credentials: Callable[[], Mapping[str, str]] = no_credentials,
        clock: Callable[[], float] = time.time,
    ) -> None:
        peer = Peer("Alertmanager", url, _REMEDY, AlertmanagerError)
        self._api = HttpApi(peer, seconds=seconds, most_bytes=most_bytes, credentials=credentials)
        self._clock = clock

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
        self,
        labels: Mapping[str, str],
        annotations: Mapping[str, str],
        *,
        starts_at: float = 0.0,
        ends_at: float = 0.0,
        key: str = "",
    ) -> None:
        """Raise an alert of our own; ``labels`` have its ``alertname``. Times are Unix seconds.

        Without ``starts_at`` it starts now, or when it ends. Without ``ends_at`` it ends by Alertmanager's
        ``resolve_timeout`` if it is not raised again; with a time that has passed it is resolved. ``key``
        names the call, which may be repeated.
        """
        alert: dict[str, Any] = {"labels": labels, "annotations": annotations}
        for name, moment in (("startsAt", starts_at), ("endsAt", ends_at)):
            if moment:
                alert[name] = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
        self._api.expect("POST", "/api/v2/alerts", msgspec.json.encode([alert]), idempotency(key))

    def close(self) -> None:
        """Close the connections that are kept."""
        self._api.close()

    def _get(self, path: str, kind: type[T]) -> T:
        body = self._api.expect("GET", path)
        try:
            return from_json(body, kind)
        except (ValueError, RecursionError) as error:
            raise self._api.wrong(f"has answered what is no answer of Alertmanager ({error})") from error


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
