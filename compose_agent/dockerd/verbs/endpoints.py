"""A container's places on networks, in the form in which it can be put there again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.dockerd.verbs.containers import Look

# What of an endpoint somebody has asked for; the rest the Engine gives anew at each start.
_ASKED_FOR = ("IPAMConfig", "Links", "DriverOpts", "GwPriority")
_SHORT_ID = 12


def endpoints(seen: Look) -> dict[str, Mapping[str, Any]]:
    """Return the container's endpoints as the Engine shows them, by network name."""
    return dict((seen.raw.get("NetworkSettings") or {}).get("Networks") or {})


def network_of(seen: Look, reference: str) -> str:
    """Return the name of the network it is on that a name or id stands for; empty when there is none."""
    for name, endpoint in endpoints(seen).items():
        if reference in (name, str((endpoint or {}).get("NetworkID") or "")):
            return name
    return ""


def endpoint_config(seen: Look, network: str) -> dict[str, Any]:
    """Return the EndpointConfig by which the container gets the same place on a network again."""
    endpoint = endpoints(seen).get(network) or {}
    # Engines before 25 put the short id among the aliases, and do so again by themselves.
    aliases = [alias for alias in endpoint.get("Aliases") or () if alias != seen.id[:_SHORT_ID]]
    config = {key: endpoint[key] for key in _ASKED_FOR if endpoint.get(key)}
    return config | ({"Aliases": aliases} if aliases else {})
