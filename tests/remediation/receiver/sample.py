"""Notifications that a real Alertmanager has sent, and others made like them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from compose_agent.web.response import Response

_FOLDER = Path(__file__).parent / "samples"
MIXED = "some-alerts-resolved"
CUT = "truncated-max-alerts-2"
JSON = {"Content-Type": "application/json"}


def recorded(name: str) -> tuple[Mapping[str, str], bytes]:
    """Return headers and body of a recorded request."""
    request = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return request["headers"], json.dumps(request["body"]).encode()


def alert(name: str = "ContainerUnhealthy", status: str = "firing", **more: Any) -> dict[str, Any]:
    """Return an alert as it stands in a notification; ``more`` are its members."""
    return {
        "status": status,
        "labels": {"alertname": name, "name": "shop-web-1"},
        "annotations": {"summary": "it is unhealthy"},
        "startsAt": "2026-11-22T15:18:32.401624209Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=up",
        "fingerprint": "8c5fe7e7575f50b7",
        **more,
    }


def notification(*alerts: dict[str, Any], **more: Any) -> bytes:
    """Return the body of a notification; ``more`` are its members."""
    body = {
        "receiver": "agent",
        "status": "firing",
        "alerts": list(alerts),
        "groupLabels": {"alertname": "ContainerUnhealthy"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://vm:19093",
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
    }
    return json.dumps({**body, **more}).encode()


def answered(response: Response) -> tuple[int, str]:
    return response.status, response.body.decode().rstrip("\n")
