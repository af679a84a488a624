"""A trigger as CloudEvents 1.0 has it, in JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from compose_agent.dockerd.model import Container
from log_forwarder.event import Event
from log_forwarder.sinks.elasticsearch.fields import to_json
from log_forwarder.sinks.nanoseconds import nanoseconds
from log_forwarder.transforms.patterns import MOST_CHARACTERS

TYPE = "io.compose-agent.log.match"
_TRACE_FIELDS = ("trace_id", "span_id")


def cloud_event(host: str, container: Container, event: Event, pattern: str) -> bytes:
    """Return the trigger that a line makes by matching the pattern of this name, on one line.

    Source and id are the same whenever the line is read again: the receiver knows by them what it has.
    """
    return to_json(
        {
            "specversion": "1.0",
            "id": f"{event.id}/{pattern}",
            "source": f"/hosts/{quote(host, safe='')}/containers/{container.id}",
            "type": TYPE,
            **_known({"time": event.time if nanoseconds(event.time) else "", "subject": container.name}),
            "datacontenttype": "application/json",
            "data": _data(container, event, pattern),
        }
    )


def _data(container: Container, event: Event, pattern: str) -> dict[str, Any]:
    fields = event.fields or {}
    traced = {name: fields[name] for name in _TRACE_FIELDS if isinstance(fields.get(name), str)}
    described = {
        "container_id": container.id,
        "container_name": container.name,
        "compose_project": container.compose_project,
        "compose_service": container.compose_service,
        "stream": event.stream,
        **traced,
    }
    # As much of the line as the pattern has seen, so that the match is in it.
    return {"pattern": pattern, "line": event.log[:MOST_CHARACTERS], **_known(described)}


def _known(members: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in members.items() if text}
