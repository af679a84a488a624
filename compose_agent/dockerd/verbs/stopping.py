"""How a container is stopped: what restart, stop and recreate have in common."""

from __future__ import annotations

from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import Look, stop_seconds
from compose_agent.dockerd.verbs.contract import Refused, Unknown
from compose_agent.dockerd.verbs.evidence import signal_number, stop_signal
from compose_agent.dockerd.verbs.model import VerbRequest

# Engines before that take no notice of it, and would be looked for the wrong signal.
_SIGNAL_SINCE = (1, 42)
NEVER_ENDS = Unknown("its stop was begun and does not end, though it should have been killed by now")


def stop_facts(client: EngineClient, seen: Look, request: VerbRequest) -> dict[str, Any]:
    """Return ``stop_seconds``, ``signal`` as given or empty, and ``stop_signal``, the number that is sent.

    Raises Refused for arguments without sense.
    """
    given = str(request.arguments.get("signal") or "")
    if given and signal_number(given) is None:
        raise Refused(f"there is no signal '{given}'")
    version = client.api_version or ""
    if given and tuple(map(int, version.split("."))) < _SIGNAL_SINCE:
        raise Refused(f"this Engine (API {version}) takes no signal for a stop, only the container's own")
    configured = str((seen.raw.get("Config") or {}).get("StopSignal") or "")
    return {
        "stop_seconds": stop_seconds(seen, request),
        "signal": given,
        "stop_signal": stop_signal(given or configured),
    }
