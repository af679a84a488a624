"""Who says it: the resource of our spans, by OpenTelemetry's semantic conventions."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from compose_agent import __version__

_NAMESPACE = "compose-agent"
# In a container Docker mounts these from a folder that is named by its id.
_CONTAINER = re.compile(r"/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) ")


def resource_of(process: str, proc: Path = Path("/proc"), etc: Path = Path("/etc")) -> dict[str, Any]:
    """Return the attributes; OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME come before our own."""
    host = platform.node()
    ours: dict[str, Any] = {
        "service.name": f"{_NAMESPACE}-{process}",
        "service.namespace": _NAMESPACE,
        "service.version": __version__,
        "service.instance.id": f"{host}/{process}",
        "host.name": host,
        "host.arch": platform.machine(),
        "os.type": "linux",
        "process.pid": os.getpid(),
        "process.runtime.name": platform.python_implementation().lower(),
        "process.runtime.version": platform.python_version(),
    }
    if machine := _text(etc / "machine-id").strip():
        ours["host.id"] = machine
    if container := _CONTAINER.search(_text(proc / "self" / "mountinfo")):
        ours["container.id"] = container[1]
    sdk = Resource.create().attributes
    ours |= {key: value for key, value in sdk.items() if key.startswith("telemetry.")}
    return ours | dict(OTELResourceDetector().detect().attributes)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
