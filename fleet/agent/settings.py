"""The options of the agent's link."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from compose_agent.address import Address
from compose_agent.config import kinds, option
from compose_agent.config.kinds import Detail, Kind

SCHEMES = ("wss", "ws", "https", "http")
# The article's shape of a manager's address.
_PATH = "/agent"
# Instead of options that may be set from afar.
NOTHING = "none"


def _manager_url(text: str) -> str:
    url = urlsplit(text)
    if url.scheme not in SCHEMES or not url.hostname or not text.isascii() or " " in text:
        raise ValueError(text)
    if url.username is not None or url.password is not None:
        raise Detail("expected a URL without user and password: agents join with agent.token-file")
    if url.query or url.fragment or url.port == 0:  # asking for the port raises ValueError for a wrong one
        raise ValueError(text)
    return text if url.path not in {"", "/"} else text.rstrip("/") + _PATH


_url = Kind("URL", "a URL such as wss://manager.example.com/agent", _manager_url)
_server = Kind("address", "host:port", kinds.address.parse)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """Where the manager is, and how this host presents itself."""

    url: str | None = option(
        "manager-url",
        _url,
        None,
        "The manager's address, such as wss://manager.example.com/agent; with http or https the agent polls "
        "instead of staying connected. Also from MANAGER_URL.",
        variable="MANAGER_URL",
    )
    server: Address | None = option(
        "server-address",
        _server,
        None,
        "The manager as host:port, which means wss://host:port/agent. Also from SERVER_ADDR.",
        variable="SERVER_ADDR",
    )
    node_id: str | None = option(
        "node-id",
        kinds.string,
        None,
        "What this node is called. Unset: the Engine's own name. Also from NODE_ID.",
        variable="NODE_ID",
    )
    token_file: Path | None = option(
        "token-file",
        kinds.path,
        None,
        "File with the token with which the agent joins.",
    )
    ca_file: Path | None = option(
        "ca-file",
        kinds.path,
        None,
        "File with the authorities that may vouch for the manager. Unset: those of the system.",
    )
    insecure: bool = option(
        "insecure",
        kinds.boolean,
        "false",
        "Speak without TLS with a manager on another machine.",
    )
    role: str = option("role", kinds.choice("worker", "manager"), "worker", "What the node is for.")
    capacity: int | None = option(
        "capacity",
        kinds.count,
        None,
        "How much work the node takes, in units of your own. Unset: its number of processors.",
    )
    tags: tuple[str, ...] = option(
        "tags",
        kinds.string,
        None,
        "Words by which nodes are selected; repeatable.",
        multiple=True,
    )
    environment: str | None = option(
        "environment", kinds.string, None, "The environment of the node, such as staging."
    )
    advertise: str | None = option(
        "advertise-address",
        kinds.string,
        None,
        "Name or IP address at which others reach this host's listeners. Unset: the address from which the "
        "agent speaks with its manager.",
    )
    commands: tuple[str, ...] = option(
        "commands",
        kinds.string,
        None,
        "The commands of the manager that this host carries out, such as restart or logs; repeatable. Unset: "
        "all. 'none' allows none.",
        multiple=True,
    )
    interval: float = option(
        "heartbeat-interval",
        kinds.positive_duration,
        "30s",
        "How often the agent speaks until its manager says otherwise.",
    )
    remote_options: tuple[str, ...] = option(
        "remote-options",
        kinds.string,
        "log.level",
        "Options, and groups of options such as exporter or logs.spool, that the manager may set on this "
        "host; repeatable. none: nothing.",
        multiple=True,
    )
    remote_timeout: float = option(
        "remote-timeout",
        kinds.positive_duration,
        "30s",
        "How long the agent may be without its manager after it has applied a configuration from there; then "
        "it goes back to the one before.",
    )

    @property
    def accepts_remote(self) -> bool:
        """Tell whether the manager may set anything."""
        return self.remote_options != (NOTHING,)

    @property
    def manager_url(self) -> str | None:
        """Return the manager's URL, however it was given."""
        if self.url is not None:
            return self.url
        return f"wss://{self.server}{_PATH}" if self.server else None
