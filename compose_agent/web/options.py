"""The options that every role with listeners has, declared once."""

from __future__ import annotations

from typing import Any

from compose_agent.config import kinds
from compose_agent.config.options import option


def listen_addresses(default: str, served: str) -> Any:
    """Declare a field of type ``tuple[Address, ...]``; ``served`` completes "Where to serve …"."""
    return option(
        "web.listen-address",
        kinds.address,
        default,
        f"Where to serve {served}; repeatable. An empty host means all interfaces.",
        multiple=True,
    )


def web_config_file() -> Any:
    """Declare a field of type ``Path | None``."""
    return option(
        "web.config.file",
        kinds.path,
        None,
        "Web configuration file of the exporter-toolkit: TLS, client certificates, users, headers. What it "
        "says is read again whenever it changes.",
        restart=True,
    )
