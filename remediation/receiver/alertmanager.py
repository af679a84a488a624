"""Notifications of Alertmanager's webhook, version 4 of its format, as signals.

The format is ``Data`` in alertmanager/template/template.go. Each alert is taken by itself: a group that fires
may hold alerts that have resolved. Members that are not used here may be missing, or be anything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from compose_agent.typed import json_decoder
from remediation.model import Signal, Source
from remediation.receiver.limits import require_text
from remediation.receiver.refusal import Refusal, Why

CONTENT_TYPE = "application/json"
# More than fit the default limit of a body.
MOST_ALERTS = 10_000
_MOST_LEFT_OUT = 2**53
_FNV_OFFSET, _FNV_PRIME, _FNV_MASK = 0xCBF29CE484222325, 0x100000001B3, 2**64 - 1
_SEPARATOR = b"\xff"

Moment = Annotated[datetime, Meta(tz=True)]
Labels = dict[str, str]


class Truncated(msgspec.Struct, frozen=True, kw_only=True):
    """A group of which ``number`` alerts were left out (``max_alerts``): its receiver, and its labels."""

    receiver: str
    group_labels: Labels
    number: int


class Notification(msgspec.Struct, frozen=True):
    """What a notification says; ``truncated`` is None when nothing was left out."""

    signals: list[Signal]
    truncated: Truncated | None = None


class _Alert(msgspec.Struct):
    status: Literal["firing", "resolved"]
    labels: Annotated[Labels, Meta(min_length=1)]
    starts_at: Moment = msgspec.field(name="startsAt")
    ends_at: Moment | None = msgspec.field(name="endsAt", default=None)
    annotations: Labels | None = None
    fingerprint: Annotated[str, Meta(max_length=128)] = ""


class _Body(msgspec.Struct):
    version: Literal["4"]
    alerts: list[_Alert]
    receiver: str = ""
    group_labels: Labels | None = msgspec.field(name="groupLabels", default=None)
    left_out: Annotated[int, Meta(ge=0, le=_MOST_LEFT_OUT)] = msgspec.field(name="truncatedAlerts", default=0)


_decoder = json_decoder(_Body)


def parse(body: bytes, received_at: float, traceparent: str = "") -> Notification:
    """Return what the body of a request says; Refusal says in what it is no notification."""
    require_text(body)
    try:
        found = _decoder.decode(body)
    except RecursionError as error:
        raise Refusal(Why.TOO_DEEP, "nested too deep") from error
    except ValueError as error:
        raise Refusal(Why.MALFORMED, f"expected a notification of Alertmanager: {error}") from error
    if len(found.alerts) > MOST_ALERTS:
        raise Refusal(Why.TOO_MANY_ALERTS, f"expected at most {MOST_ALERTS} alerts: set max_alerts")
    signals = [_signal(alert, received_at, traceparent) for alert in found.alerts]
    if not found.left_out:
        return Notification(signals)
    return Notification(
        signals,
        Truncated(receiver=found.receiver, group_labels=found.group_labels or {}, number=found.left_out),
    )


def _signal(alert: _Alert, received_at: float, traceparent: str) -> Signal:
    return Signal(
        source=Source.ALERTMANAGER,
        name=alert.labels.get("alertname", ""),
        fingerprint=alert.fingerprint or fingerprint(alert.labels),
        firing=alert.status == "firing",
        starts_at=unix_seconds(alert.starts_at),
        ends_at=unix_seconds(alert.ends_at) if alert.ends_at else 0.0,
        labels=alert.labels,
        annotations=alert.annotations or {},
        received_at=received_at,
        traceparent=traceparent,
    )


def unix_seconds(moment: datetime) -> float:
    """Return Unix seconds to the millisecond, 0 for Go's zero time and all that lies before 1970.

    Alertmanager's API gives milliseconds, its webhook nanoseconds; both must name the same occurrence.
    """
    return max(0.0, math.floor(moment.timestamp() * 1000) / 1000)


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the fingerprint that Alertmanager gives to labels: FNV-1a over them, in order of their names.

    That is ``LabelSet.Fingerprint`` in prometheus/common/model/signature.go.
    """
    found = _FNV_OFFSET
    for name, value in sorted((name.encode(), value.encode()) for name, value in labels.items()):
        for byte in name + _SEPARATOR + value + _SEPARATOR:
            found = ((found ^ byte) * _FNV_PRIME) & _FNV_MASK
    return f"{found:016x}"
