"""Triggers of this host, posted as CloudEvents, as signals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from compose_agent.cloudevents import checked
from remediation.model import Signal, Source
from remediation.receiver.alertmanager import unix_seconds
from remediation.receiver.limits import require_text
from remediation.receiver.refusal import Refusal, Why

# The name of what it is about goes by the label that alerts have it in.
NAME_LABEL = "name"
# Source and id are kept for each trigger, to know it again.
_MOST_CHARACTERS = 1024
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")


def parse(body: bytes, received_at: float, traceparent: str = "") -> Signal:
    """Return the signal in a trigger; Refusal says in what it is none.

    The fingerprint is source and id, the labels are the members of ``data`` that are texts, with ``subject``
    and ``name`` (the container's, or the subject). A trigger that names a trace belongs to that one. One
    without a time began at 0: whenever it is sent again it is to be the same occurrence.
    """
    require_text(body)
    try:
        event = checked(body)
    except ValueError as error:
        raise Refusal(Why.MALFORMED, f"expected a CloudEvent: {error}") from error
    for attribute in ("source", "id", "type"):
        if len(event[attribute]) > _MOST_CHARACTERS:
            raise Refusal(Why.MALFORMED, f"{attribute}: expected at most {_MOST_CHARACTERS} characters")
    data: dict[str, Any] = event["data"]
    return Signal(
        source=Source.TRIGGER,
        name=event["type"],
        # A source is a URI reference, which has no spaces, so that two pairs never look the same.
        fingerprint=f"{event['source'].replace(' ', '%20')} {event['id']}",
        firing=True,
        starts_at=unix_seconds(datetime.fromisoformat(event["time"])) if "time" in event else 0.0,
        labels=_labels(data, event.get("subject", "")),
        received_at=received_at,
        traceparent=_traceparent(data) or traceparent,
    )


def _labels(data: Mapping[str, Any], subject: str) -> dict[str, str]:
    labels = {name: value for name, value in data.items() if isinstance(value, str)}
    name = labels.get("container_name") or subject
    if name:
        labels.setdefault(NAME_LABEL, name)
    return {**labels, "subject": subject} if subject else labels


def _traceparent(data: Mapping[str, Any]) -> str:
    """Return the trace of the line that made the trigger (W3C Trace Context), empty if it has none."""
    trace, span = str(data.get("trace_id", "")), str(data.get("span_id", ""))
    if _TRACE_ID.fullmatch(trace) and _SPAN_ID.fullmatch(span):
        return f"00-{trace}-{span}-01"
    return ""
