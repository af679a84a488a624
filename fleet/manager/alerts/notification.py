"""Notifications of Alertmanager's webhook, version 4, taken apart into alerts. Pure.

The format is ``Data`` in alertmanager/template/template.go. What is not needed to find an alert's host is
handed on as it came: the host's remediation reads it with all its rules.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from compose_agent.typed import from_json

# More than fit into a body.
MOST_ALERTS = 10_000
_LONGEST = 1024
_FIRST_LABELS = 64

Labels = dict[str, str]


class Malformed(ValueError):
    """A body that is no notification."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """One alert as it came; ``body`` is a notification that holds nothing else."""

    name: str
    fingerprint: str
    firing: bool
    starts_at: str
    labels: Labels
    body: bytes


class _Alert(msgspec.Struct):
    status: Literal["firing", "resolved"]
    labels: Annotated[Labels, Meta(min_length=1)]
    starts_at: str = msgspec.field(name="startsAt")
    fingerprint: Annotated[str, Meta(max_length=128)] = ""


class _Notification(msgspec.Struct):
    version: Literal["4"]
    alerts: list[msgspec.Raw]
    receiver: str = ""
    group_labels: Labels | None = msgspec.field(name="groupLabels", default=None)
    left_out: Annotated[int, Meta(ge=0)] = msgspec.field(name="truncatedAlerts", default=0)


class _Single(msgspec.Struct):
    """What is handed on."""

    receiver: str
    group_labels: Labels = msgspec.field(name="groupLabels")
    alerts: list[msgspec.Raw] = []
    version: str = "4"


def parse(body: bytes) -> tuple[list[Incoming], int]:
    """Return the alerts in a body, and how many the sender left out; raises Malformed."""
    try:
        found = from_json(body, _Notification)
        if len(found.alerts) > MOST_ALERTS:
            raise Malformed(f"expected at most {MOST_ALERTS} alerts: set max_alerts")
        return [_incoming(raw, found) for raw in found.alerts], found.left_out
    except RecursionError as error:
        raise Malformed("nested too deep") from error
    except msgspec.MsgspecError as error:
        raise Malformed(f"expected a notification of Alertmanager: {error}") from error


def _incoming(raw: msgspec.Raw, around: _Notification) -> Incoming:
    alert = from_json(bytes(raw), _Alert)
    single = _Single(around.receiver, around.group_labels or {}, [raw])
    return Incoming(
        name=alert.labels.get("alertname", "")[:_LONGEST],
        fingerprint=alert.fingerprint or _fingerprint(alert.labels),
        firing=alert.status == "firing",
        starts_at=alert.starts_at[:_LONGEST],
        labels={key: value[:_LONGEST] for key, value in sorted(alert.labels.items())[:_FIRST_LABELS]},
        body=msgspec.json.encode(single),
    )


def _fingerprint(labels: Labels) -> str:
    """Return a name for what an alert is about, where its sender gives none."""
    return hashlib.sha256(msgspec.json.encode(labels, order="sorted")).hexdigest()[:32]
