"""The manager's options."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import kinds, option
from compose_agent.web.options import listen_addresses, web_config_file

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_network = kinds.Kind(
    "network", "an IP address or a network such as 10.0.0.0/8", ipaddress.ip_network
)  # raises ValueError for an address with bits behind the mask as well
_HEADER = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)


def _header(text: str) -> str:
    if not _HEADER.fullmatch(text):
        raise ValueError(text)
    return text


_header_kind = kinds.Kind("header", "the name of a header such as X-Forwarded-User", _header)
# An hour without a word is no heartbeat any more; more than one a second tells nothing new.
_heartbeat_seconds = kinds.whole_number(1, 3600)


def _heartbeat(text: str) -> float:
    seconds = kinds.parse_duration(text)
    # The protocol has whole seconds.
    return float(_heartbeat_seconds.parse(f"{seconds:g}"))


_heartbeat_kind = kinds.Kind("duration", "a duration of whole seconds from 1s to 1h", _heartbeat)


@dataclass(frozen=True, slots=True)
class ManagerSettings:
    """Where the manager listens, whom it lets in, and how often agents speak."""

    listen_addresses: tuple[Address, ...] = listen_addresses(
        "127.0.0.1:4320", "agents (OpAMP at /v1/opamp and /agent), the page, the API and metrics"
    )
    web_config_file: Path | None = web_config_file()
    insecure: bool = option(
        "insecure",
        kinds.boolean,
        "false",
        "Run without TLS and without credentials, for trying it out; only on addresses of this machine.",
        restart=True,
    )
    token_file: Path | None = option(
        "token-file",
        kinds.path,
        None,
        "File with tokens with which agents join, one on each line, behind it the environments for it if not "
        "all; read again whenever it changes. Others are made with compose-agent tokens.",
        restart=True,
    )
    heartbeat: float = option(
        "heartbeat-interval",
        _heartbeat_kind,
        "30s",
        "How often agents are asked to speak. Agents of other makers keep their own interval.",
    )
    expected: tuple[str, ...] = option(
        "expect",
        kinds.string,
        None,
        "Node ids that there should be, which are shown as never seen until an agent comes with them; "
        "repeatable.",
        multiple=True,
    )
    ca_file: Path | None = option(
        "ca-file",
        kinds.path,
        None,
        "Certificate of the authority that signs agents' certificates. Without it agents get a key as their "
        "own credential.",
        restart=True,
    )
    ca_key_file: Path | None = option(
        "ca-key-file", kinds.path, None, "Key of the authority in manager.ca-file.", restart=True
    )
    credential_lifetime: float = option(
        "credential-lifetime",
        kinds.positive_duration,
        "30d",
        "How long an agent's own credential holds; it is renewed after two thirds of that.",
        restart=True,
    )
    proxy_header: str | None = option(
        "proxy.header",
        _header_kind,
        None,
        "Header in which a proxy names who has logged in there, with OIDC for instance; taken from "
        "manager.proxy.address only. What they may do is that of the person of this name.",
        restart=True,
    )
    proxy_addresses: tuple[Network, ...] = option(
        "proxy.address",
        _network,
        None,
        "Address or network of the proxy whose word is taken for who somebody is; repeatable.",
        multiple=True,
        restart=True,
    )
    request_rate: int = option(
        "request-rate",
        kinds.count,
        "500",
        "How many requests each person, token or unknown address may make in a second.",
        restart=True,
    )
    most_nodes: int = option(
        "most-nodes",
        kinds.count,
        "50000",
        "How many nodes the manager has at most; further agents are told to come again later.",
        restart=True,
    )
    connect_rate: int = option(
        "connect-rate",
        kinds.count,
        "500",
        "How many agents may connect in a second; the others are told when to come again.",
        restart=True,
    )
