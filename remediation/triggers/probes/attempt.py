"""One attempt of a probe, within one deadline for all of it."""

from __future__ import annotations

import http.client
import ipaddress
import socket
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from compose_agent import __version__
from compose_agent.deadline import DeadlineSocket
from compose_agent.dockerd.model import Container
from remediation.triggers.probes.spec import ProbeKind, ProbeSpec

_LOOPBACK = "127.0.0.1"
_OTHERS_NETWORK = "container:"


def attempt(spec: ProbeSpec, address: str) -> str:
    """Return why the probe failed, empty when it did not; takes no longer than its timeout."""
    try:
        with closing(_connected(spec, address)) as connection:
            return _asked(spec, address, connection) if spec.kind is ProbeKind.HTTP else ""
    except TimeoutError:
        return f"no answer within {spec.timeout:g} s"
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _connected(spec: ProbeSpec, address: str) -> DeadlineSocket:
    family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    connection = DeadlineSocket(family, socket.SOCK_STREAM)
    try:
        connection.settimeout(spec.timeout)
        connection.connect((address, spec.port))
    except BaseException:
        connection.close()
        raise
    return connection


def _asked(spec: ProbeSpec, address: str, connection: socket.socket) -> str:
    asking = http.client.HTTPConnection(address, spec.port)
    asking.sock = connection
    own = {"User-Agent": f"compose-agent/{__version__}", "Accept": "*/*", "Connection": "close"}
    asking.request("GET", spec.path, headers=own)
    with asking.getresponse() as answer:  # its headers; the body is not read
        return "" if 200 <= answer.status < 400 else f"it answered {answer.status}"


def address_of(
    container: Container, spec: ProbeSpec, inspect: Callable[[str], Mapping[str, Any]], *, local: bool
) -> str:
    """Return where a container is asked, empty when there is no such place; raises EngineError.

    On the host's network that is the host, when it is ours; in another's network, that other one's place.
    """
    if container.network_mode == "host":
        return _LOOPBACK if local else ""
    owner = container.network_mode.removeprefix(_OTHERS_NETWORK)
    found = inspect(owner if owner != container.network_mode else container.id)
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    if spec.network:
        networks = {spec.network: networks.get(spec.network)}
    endpoints = [networks[name] or {} for name in sorted(networks)]
    addresses = (each.get(key) for key in ("IPAddress", "GlobalIPv6Address") for each in endpoints)
    return next((str(each) for each in addresses if each), "")
