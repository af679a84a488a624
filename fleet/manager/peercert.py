"""What a connection's TLS and its real other end are, for applications behind uvicorn, which says neither.

A client's certificate is in ``scope["state"]``, in DER; it was verified against the authorities of the web
configuration file, or there is none. So is the address that the connection comes from, also where a proxy's
header has put another one into ``scope["client"]``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

_CERTIFICATE, _ADDRESS = "compose_agent.certificate", "compose_agent.address"


class Protocol(H11Protocol):
    """HTTP/1.1 of uvicorn; a WebSocket that grows out of it takes over its state."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Note the certificate that the handshake has verified."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        verified = isinstance(connection, ssl.SSLObject) and connection.getpeercert(binary_form=True)
        address = self.client[0] if self.client else ""
        self.app_state = {**self.app_state, _CERTIFICATE: verified or b"", _ADDRESS: address}


def certificate_of(scope: Mapping[str, Any]) -> bytes:
    """Return the client's certificate in DER, empty for none."""
    return bytes(scope.get("state", {}).get(_CERTIFICATE, b""))


def address_of(scope: Mapping[str, Any]) -> str:
    """Return the IP address that a connection comes from."""
    return str(scope.get("state", {}).get(_ADDRESS, ""))
