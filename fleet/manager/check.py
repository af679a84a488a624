"""What only the manager itself can judge of its configuration."""

from __future__ import annotations

import ipaddress

from compose_agent.address import Address
from compose_agent.errors import ConfigError, Problem
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.admission import TokenFile
from fleet.manager.credentials.parts import signer_of
from fleet.manager.settings import ManagerSettings

_WHERE = "manager"


def check(settings: ManagerSettings) -> None:
    """Raise ConfigError for what is wrong on any host, also one that runs no manager."""
    if settings.insecure:
        for address in settings.listen_addresses:
            if not is_loopback(address):
                what = f"manager.insecure on {address}: expected addresses of this machine, such as 127.0.0.1"
                raise ConfigError(Problem(_WHERE, what))
    if bool(settings.proxy_header) is not bool(settings.proxy_addresses):
        what = "manager.proxy.header and manager.proxy.address belong together, expected both or neither"
        raise ConfigError(Problem(_WHERE, what))
    if settings.web_config_file:
        WebConfigFile(settings.web_config_file)  # opens the certificates too
    if settings.token_file:
        TokenFile(settings.token_file)
    if bool(settings.ca_file) is not bool(settings.ca_key_file):
        what = "manager.ca-file and manager.ca-key-file belong together, expected both or neither"
        raise ConfigError(Problem(_WHERE, what))
    signer_of(settings)


def require_safety(settings: ManagerSettings, web: WebConfigFile | None) -> None:
    """Raise ConfigError for a manager with which strangers could join, listen or read along."""
    if settings.insecure:
        return
    if web is None or web.current().context is None:
        what = (
            "expected TLS in manager.web.config.file, or manager.insecure for trying it out on this machine"
        )
        raise ConfigError(Problem(_WHERE, what))


def is_loopback(address: Address) -> bool:
    """Tell whether only this machine can connect to ``address``."""
    if address.host == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return False
