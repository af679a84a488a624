"""CloudEvents 1.0 in structured JSON, as processes of one host tell them to the remediation role.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, and json-format.md beside it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from compose_agent.typed import any_from_json

# Where the role takes them, on its local socket, one in a request.
PATH = "/v1/triggers"
CONTENT_TYPE = "application/cloudevents+json"
_REQUIRED = ("specversion", "id", "source", "type")
_OPTIONAL = ("time", "subject", "datacontenttype", "dataschema")
# "Attribute Naming Convention".
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")


def checked(body: bytes) -> dict[str, Any]:
    """Return the event in a body, whose ``data`` is an object; ValueError says in what it is none."""
    event = _object(body)
    _check_attributes(event)
    if event["specversion"] != "1.0":
        raise ValueError(f"specversion: expected 1.0, not {event['specversion']}")
    if "time" in event and datetime.fromisoformat(event["time"]).tzinfo is None:
        raise ValueError("time: expected a zone")
    if not isinstance(event.get("data"), dict):
        raise ValueError("data: expected an object")  # noqa: TRY004 - one error for all
    return event


def _object(body: bytes) -> dict[str, Any]:
    try:
        event = any_from_json(body)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    if not isinstance(event, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004 - as above
    return event


def _check_attributes(event: dict[str, Any]) -> None:
    for name in _REQUIRED:
        if name not in event:
            raise ValueError(f"{name} is missing")
    for name in event.keys() & {*_REQUIRED, *_OPTIONAL}:
        if not isinstance(event[name], str) or not event[name]:
            raise ValueError(f"{name}: expected a text")
    if wrong := [name for name in event if not _ATTRIBUTE.fullmatch(name)]:
        raise ValueError(f"{wrong[0]}: no attribute has such a name")
