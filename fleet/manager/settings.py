"""The manager's options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import kinds, option
from compose_agent.web.options import listen_addresses, web_config_file

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
        "File with the tokens with which agents join, one on each line; read again whenever it changes.",
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
