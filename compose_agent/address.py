"""Addresses of listeners and peers: TCP, and unix sockets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from compose_agent.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

_FORM = re.compile(r"(?:\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^\[\]:/\s]*)):(?P<port>[0-9]+)", re.ASCII)
_EXPECTED = "expected host:port, :port or [IPv6]:port"
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Address:
    """A TCP address; an empty host means all interfaces, port 0 any free port."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, where: str = "address") -> Self:
        """Read ``host:port``, ``:port`` or ``[IPv6]:port``; ConfigError names ``where`` it was given."""
        match = _FORM.fullmatch(text)
        if match is None or not _is_ipv6(match["ipv6"]):
            raise ConfigError(Problem(where, f"{text!r} is not an address, {_EXPECTED}{_hint(text)}"))
        port = int(match["port"])
        if port > _LAST_PORT:
            raise ConfigError(Problem(where, f"{text!r} has port {port}, expected 0 to {_LAST_PORT}"))
        return cls(match["ipv6"] or match["host"], port)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A unix socket; ``mode`` and ``gid`` (None: the process's own) are those of its file."""

    path: Path
    mode: int = 0o660
    gid: int | None = None

    def __str__(self) -> str:
        return f"unix:{self.path}"


def _is_ipv6(text: str | None) -> bool:
    if text is None:
        return True
    try:
        return ipaddress.ip_address(text).version == 6
    except ValueError:
        return False


def _hint(text: str) -> str:
    bare = re.sub(r"^[a-z]+://", "", text).rstrip("/")
    if bare.isascii() and bare.isdecimal():
        return f", did you mean ':{bare}'?"
    host, _, port = bare.rpartition(":")
    if port.isascii() and port.isdecimal() and ":" in host and _is_ipv6(host):
        return f", did you mean '[{host}]:{port}'?"
    if bare != text and _FORM.fullmatch(bare):
        return f", did you mean {bare!r}?"
    return ""
