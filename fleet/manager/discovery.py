"""Targets for Prometheus' ``http_sd_configs``: every role of every agent that can be reached. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from fleet.manager.model import ALIVE, Node
from fleet.opamp.attributes import ADVERTISE

_LOOPBACK = ("127.", "localhost", "::1")
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - names of what an agent listens on, nothing is bound here


def targets(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Return target groups, one for each listener.

    A listener that only its own host can reach is left out; one on all interfaces is reached at the
    address that the agent advertises, else at the one from which it speaks.
    """
    groups = [group for node in nodes if node.state in ALIVE for group in _of(node)]
    return sorted(groups, key=lambda group: (group["labels"]["node_id"], group["labels"]["role"]))


def _of(node: Node) -> Iterable[dict[str, Any]]:
    told = node.description
    if told is None:
        return
    outside = str(told.attributes.get(ADVERTISE, "")) or node.peer_address
    for role, url in told.listeners.items():
        if target := target_of(url, outside):
            labels = {
                "node_id": node.node_id,
                "host": told.host,
                "role": role,
                "environment": told.environment,
                "__scheme__": urlsplit(url).scheme,
            }
            yield {"targets": [target], "labels": labels}


def target_of(url: str, outside: str) -> str:
    """Return ``host:port`` of a listener as others reach it, empty if they cannot.

    ``outside`` is an address of the agent's host. An agent on the manager's own host is reached on loopback.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not port:
        return ""
    if host in _ANY:
        host = outside
    elif host.startswith(_LOOPBACK) and not outside.startswith(_LOOPBACK):
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
