"""What only the manager itself can judge of its configuration."""

from __future__ import annotations

import ipaddress

from compose_agent.address import Address
from compose_agent.errors import ConfigError, Problem
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.admission import TokenFile
from fleet.manager.settings import ManagerSettings

_WHERE = "manager"


def check(settings: ManagerSettings) -> None:
    """Raise ConfigError for a set-up in which strangers could join, listen or read along."""
    if settings.insecure:
        for address in settings.listen_addresses:
            if not is_loopback(address):
                what = f"manager.insecure on {address}: expected addresses of this machine, such as 127.0.0.1"
                raise ConfigError(Problem(_WHERE, what))
        return
    web = WebConfigFile(settings.web_config_file) if settings.web_config_file else None
    if web is None or web.current().context is None:
        what = (
            "expected TLS in manager.web.config.file, or manager.insecure for trying it out on this machine"
        )
        raise ConfigError(Problem(_WHERE, what))
    if settings.token_file is None:
        raise ConfigError(
            Problem(_WHERE, "expected manager.token-file: with it agents prove that they may join")
        )
    TokenFile(settings.token_file)


def is_loopback(address: Address) -> bool:
    """Tell whether only this machine can connect to ``address``."""
    if address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
