"""The JSON form of an overview: what ``GET /v1/containers`` and ``status --json`` give.

The keys are the field names of :mod:`compose_agent.dockerd.overview.model`, the meanings stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from compose_agent.dockerd.overview.model import ContainerRow, HostOverview, Overview
from compose_agent.errors import ComposeAgentError


def to_json(overview: Overview) -> dict[str, Any]:
    """Return the overview as JSON's own types."""
    return {
        "timestamp_seconds": overview.timestamp_seconds,
        "host": _fields(overview.host) | {"containers_by_state": dict(overview.host.containers_by_state)},
        "containers": [_fields(row) for row in overview.containers],
    }


def _fields(value: HostOverview | ContainerRow) -> dict[str, Any]:
    """Return the fields by name; dataclasses.asdict copies every value and takes ten times as long."""
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


def from_json(raw: Any) -> Overview:
    """Return the overview in a JSON document; ComposeAgentError if it is none.

    Unknown keys are passed over, so that a newer agent's answer can be read.
    """
    try:
        return Overview(
            float(raw["timestamp_seconds"]),
            HostOverview(**_known(HostOverview, raw["host"])),
            tuple(ContainerRow(**_known(ContainerRow, each)) for each in raw["containers"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ComposeAgentError(
            f"the exporter's answer is no overview of containers ({type(error).__name__} {error})",
            remedy="compare versions with 'compose-agent version'",
        ) from error


def _known(kind: type[HostOverview | ContainerRow], raw: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)}
    return {key: value for key, value in raw.items() if key in names}
