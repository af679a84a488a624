"""Signals of this host, with labels and fingerprints as an alert of the bundle would have them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from compose_agent.dockerd.model import ONE_OFF_LABEL, PROJECT_LABEL, SERVICE_LABEL, Container
from remediation.model import Signal, Source

# What Alertmanager calls an alert's name among its labels.
ALERT_NAME = "alertname"

_SHORT_ID = 12
# FNV-1a of 64 bits, with a byte between texts that no UTF-8 has (prometheus/common/model/fnv.go).
_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211
_FNV_MASK = 2**64 - 1
_SEPARATOR = b"\xff"


def fingerprint(labels: Mapping[str, str]) -> str:
    """Return the fingerprint that Alertmanager gives an alert with these labels, 16 hexadecimal digits."""
    digest = _FNV_OFFSET
    for name in sorted(labels, key=str.encode):
        for byte in name.encode() + _SEPARATOR + labels[name].encode("utf-8", "replace") + _SEPARATOR:
            digest = ((digest ^ byte) * _FNV_PRIME) & _FNV_MASK
    return f"{digest:016x}"


def labels_of(container: Container) -> dict[str, str]:
    """Return the labels of a container's signals: those of its series, and its image."""
    return labels_from(container.id, {**container.labels, "name": container.name, "image": container.image})


def labels_from(container_id: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the same from an event, whose attributes are the container's labels, name and image."""
    return {
        "name": attributes.get("name", ""),
        "id": container_id[:_SHORT_ID],
        "compose_project": attributes.get(PROJECT_LABEL, ""),
        "compose_service": attributes.get(SERVICE_LABEL, ""),
        "image": attributes.get("image", ""),
    }


def is_one_off(attributes: Mapping[str, str]) -> bool:
    """Tell whether an event is about what ``docker compose run`` made: a person's command, no replica."""
    return attributes.get(ONE_OFF_LABEL, "").lower() == "true"


def firing(
    source: Source, name: str, labels: Mapping[str, str], starts_at: float, summary: str = ""
) -> Signal:
    """Return a signal that fires since ``starts_at`` (Unix seconds); its name becomes one of its labels."""
    named = {ALERT_NAME: name, **{key: text for key, text in labels.items() if text}}
    return Signal(
        source=source,
        name=name,
        fingerprint=fingerprint(named),
        firing=True,
        starts_at=starts_at,
        labels=named,
        annotations={"summary": summary} if summary else {},
    )


def resolved(signal: Signal, ends_at: float) -> Signal:
    """Return the signal that says that one which fired no longer does."""
    return msgspec.structs.replace(signal, firing=False, ends_at=max(ends_at, signal.starts_at))
