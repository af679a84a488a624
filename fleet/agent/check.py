"""What only the link itself can judge of its configuration."""

from __future__ import annotations

import ipaddress
import ssl
from urllib.parse import urlsplit

from compose_agent.errors import ConfigError, Problem
from fleet.agent.settings import AgentSettings

_WHERE = "agent"


def check(settings: AgentSettings) -> None:
    """Raise ConfigError for a link that cannot come about, or that would tell a token to everybody."""
    url = settings.manager_url
    if url is None:
        what = (
            "expected agent.manager-url, or MANAGER_URL or SERVER_ADDR in the environment, to register with"
        )
        raise ConfigError(Problem(_WHERE, what))
    parts = urlsplit(url)
    if parts.scheme in {"ws", "http"} and not (settings.insecure or _is_loopback(parts.hostname or "")):
        what = f"{url} is not encrypted: expected wss or https, or agent.insecure"
        raise ConfigError(Problem(_WHERE, what))
    read_token(settings)
    if parts.scheme in {"wss", "https"}:
        tls_context(settings)


def read_token(settings: AgentSettings) -> str:
    """Return the token, empty when there is none; raises ConfigError."""
    if settings.token_file is None:
        return ""
    try:
        token = settings.token_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(str(settings.token_file), f"cannot be read: {error}")) from error
    if not token.isascii() or not token.isprintable() or " " in token or not token:
        raise ConfigError(Problem(str(settings.token_file), "expected one token, in ASCII, and nothing else"))
    return token


def tls_context(settings: AgentSettings) -> ssl.SSLContext:
    """Return the context with which the manager's certificate is checked; raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        what = f"holds no certificates that can be used: {error}"
        raise ConfigError(Problem(str(settings.ca_file), what)) from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
