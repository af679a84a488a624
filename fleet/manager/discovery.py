"""Targets for Prometheus' ``http_sd_configs``: every role of every agent that is there. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from fleet.envelopes.relay import CAPABILITY
from fleet.manager.documents import TargetGroup
from fleet.manager.model import ALIVE, Node
from fleet.opamp.attributes import ADVERTISE
from fleet.opamp.uid import uid_text

RELAYED = "/api/v1/nodes/{uid}/metrics/{role}"
_LOOPBACK = ("127.", "localhost", "::1")
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - names of what an agent listens on, nothing is bound here
# What a client says it has reached us at (RFC 9110, 7.2).
_HOST = re.compile(r"[0-9A-Za-z._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks for targets: from which address, and where it has reached the manager."""

    address: str
    scheme: str
    host: str

    @property
    def local(self) -> bool:
        """Tell whether it is on the manager's own host."""
        return self.address == "" or self.address.startswith(_LOOPBACK)

    @property
    def manager(self) -> str:
        """The manager's ``host:port`` as a target, empty when that is not known."""
        if not _HOST.fullmatch(self.host):
            return ""
        named = self.host.rpartition("]")[2].partition(":")[2]
        return self.host if named else f"{self.host}:{443 if self.scheme == 'https' else 80}"


def targets(nodes: Iterable[Node], asker: Asker) -> list[TargetGroup]:
    """Return target groups, one for each role.

    A role is scraped where it listens if ``asker`` can get there, else through the manager.
    """
    groups = [group for node in nodes if node.state in ALIVE for group in _of(node, asker)]
    return sorted(groups, key=lambda group: (group.labels["node_id"], group.labels["role"]))


def _of(node: Node, asker: Asker) -> Iterator[TargetGroup]:
    told = node.description
    if told is None:
        return
    outside = _outside(node, asker)
    for role in _roles(node):
        labels = {
            "node_id": node.node_id,
            "host": told.host,
            "role": role,
            "environment": told.environment,
        }
        url = told.listeners.get(role, "")
        if target := target_of(url, outside):
            yield TargetGroup([target], {**labels, "__scheme__": urlsplit(url).scheme})
        elif asker.manager and CAPABILITY in node.custom:
            path = RELAYED.format(uid=uid_text(node.uid), role=quote(role, safe=""))
            through = {"__scheme__": asker.scheme, "__metrics_path__": path, "instance": node.node_id}
            yield TargetGroup([asker.manager], {**labels, **through})


def _roles(node: Node) -> list[str]:
    """Return the roles that an agent says it has; one of another maker has those that listen."""
    told = node.description
    listening = set(told.listeners) if told else set()
    reported = set(node.health.parts) if node.health and CAPABILITY in node.custom else set()
    return sorted(listening | reported)


def _outside(node: Node, asker: Asker) -> str:
    """Return the address at which ``asker`` reaches the agent's host, empty if there is none.

    Where the address that the manager sees is not one of the agent's own, there is a translation of addresses
    or a proxy between them: behind that nobody listens.
    """
    told = node.description
    if told and (advertised := str(told.attributes.get(ADVERTISE, ""))):
        return advertised
    seen = node.peer_address
    if seen.startswith(_LOOPBACK):
        return seen if asker.local else ""
    return seen if told is None or told.address in {"", seen} else ""


def target_of(url: str, outside: str) -> str:
    """Return ``host:port`` of a listener as others reach it, empty if they cannot.

    ``outside`` is an address of the agent's host. An agent on the manager's own host is reached on loopback.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if not port or not outside:
        return ""
    if host in _ANY:
        host = outside
    elif host.startswith(_LOOPBACK) and not outside.startswith(_LOOPBACK):
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
