"""The broker's options."""

from __future__ import annotations

import grp
from dataclasses import dataclass
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import kinds, option
from compose_agent.web.options import web_config_file

# Each holds a thread; a host has some hundreds of containers whose logs could be followed at once.
_MOST_STREAMS = 1024
_LAST_GROUP = 2**32 - 2


def _group(text: str) -> int:
    if text.isascii() and text.isdecimal():
        number = int(text)
        if number > _LAST_GROUP:
            raise ValueError(text)
        return number
    return grp.getgrnam(text).gr_gid


group = kinds.Kind("group", "the name or number of a group", _group)


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker listens, whom it lets do what, and what it shows."""

    read_socket: Path | None = option(
        "read-socket",
        kinds.path,
        None,
        "The socket for questions to the Engine. Unset: read.sock in the run directory.",
        restart=True,
    )
    act_socket: Path | None = option(
        "act-socket",
        kinds.path,
        None,
        "The socket for verbs. Unset: act.sock in the run directory.",
        restart=True,
    )
    socket_group: int | None = option(
        "socket-group",
        group,
        None,
        "Group, by name or number, that may use both sockets. Unset: that of the process.",
        restart=True,
    )
    allow: tuple[str, ...] = option(
        "allow",
        kinds.string,
        None,
        "Globs of names of containers and services on which verbs are done without a label; repeatable.",
        multiple=True,
        restart=True,
    )
    env_allow: tuple[str, ...] = option(
        "env-allow",
        kinds.string,
        None,
        "Globs of names of environment variables whose values the read socket shows; repeatable.",
        multiple=True,
    )
    per_target: int = option(
        "budget.target",
        kinds.count,
        "5",
        "How many actions there are at most on one container or service within budget.window.",
        restart=True,
    )
    per_host: int = option(
        "budget.host",
        kinds.count,
        "60",
        "How many actions there are at most on this host within budget.window.",
        restart=True,
    )
    window: float = option(
        "budget.window",
        kinds.positive_duration,
        "10m",
        "The time in which the actions of the budgets are counted, also across restarts.",
        restart=True,
    )
    max_streams: int = option(
        "max-streams",
        kinds.whole_number(1, _MOST_STREAMS),
        "64",
        "How many answers without an end (events, followed logs, stats) the read socket gives at once.",
        restart=True,
    )
    listen_addresses: tuple[Address, ...] = option(
        "web.listen-address",
        kinds.address,
        None,
        "Where to serve the broker's own metrics and nothing else; repeatable. Unset: nowhere but locally.",
        multiple=True,
    )
    web_config_file: Path | None = web_config_file()
