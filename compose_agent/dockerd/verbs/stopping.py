"""How a container is stopped: what restart, stop and recreate have in common."""

from __future__ import annotations

from typing import Any

from compose_agent.dockerd.verbs.containers import Look, stop_seconds
from compose_agent.dockerd.verbs.contract import Refused
from compose_agent.dockerd.verbs.evidence import signal_number, stop_signal
from compose_agent.dockerd.verbs.model import VerbRequest


def stop_facts(seen: Look, request: VerbRequest) -> dict[str, Any]:
    """Return ``stop_seconds``, ``signal`` as given or empty, and ``stop_signal``, the number that is sent."""
    given = str(request.arguments.get("signal") or "")
    if given and signal_number(given) is None:
        raise Refused(f"there is no signal '{given}'")
    configured = str((seen.raw.get("Config") or {}).get("StopSignal") or "")
    return {
        "stop_seconds": stop_seconds(seen, request),
        "signal": given,
        "stop_signal": stop_signal(given or configured),
    }
