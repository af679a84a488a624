"""What carries messages to a manager and back."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit, urlunsplit

from compose_agent.errors import ComposeAgentError
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent

# A connection, TLS and the handshake together.
CONNECT_SECONDS = 10.0
# A manager that is loaded answers late, one that hangs never.
ANSWER_SECONDS = 20.0


class LinkError(ComposeAgentError):
    """The link cannot be made, or broke.

    ``pause`` is for how long the manager asks, if it does; ``refused`` when it does not know the agent.
    """

    def __init__(self, message: str, *, pause: float | None = None, refused: bool = False) -> None:
        super().__init__(message)
        self.pause = pause
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Target:
    """Where the manager is and with what the agent comes."""

    url: str
    token: str = ""
    tls: ssl.SSLContext | None = None
    authorization: str = ""  # a whole header, in place of the token

    @property
    def polls(self) -> bool:
        """Tell whether the URL asks for plain HTTP."""
        return urlsplit(self.url).scheme in {"http", "https"}

    @property
    def http_url(self) -> str:
        """Return the URL for plain HTTP."""
        parts = urlsplit(self.url)
        return urlunsplit(
            parts._replace(scheme={"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme))
        )

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers with which the agent proves that it may come."""
        given = self.authorization or (f"Bearer {self.token}" if self.token else "")
        return {"Authorization": given} if given else {}


def is_refusal(error: BaseException) -> bool:
    """Tell whether the other end of a TLS connection does not take this end's certificate."""
    return isinstance(error, ssl.SSLError) and "alert" in str(error.reason or error).lower()


class Transport(Protocol):
    """One connection; ``polls`` when the manager speaks only if it is asked. Every call raises LinkError."""

    name: str
    polls: bool
    local_address: str

    def open(self) -> None:
        """Connect."""

    def send(self, message: AgentToServer) -> None:
        """Send a message."""

    def receive(self, timeout: float) -> ServerToAgent | None:
        """Return the next message of the manager, None when there is none within ``timeout`` seconds."""

    def close(self) -> None:
        """End the connection; may be called at any time and from any thread."""


def retry_after(header: str | None) -> float | None:
    """Return the seconds in a Retry-After header; a date there says no more than that it should be later."""
    if header is None:
        return None
    text = header.strip()
    return float(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 30.0
