"""A receiver behind a real server, and requests to it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from compose_agent.address import Address
from compose_agent.errors import ComposeAgentError
from compose_agent.web.response import routed
from compose_agent.web.server import WebServer
from compose_agent.web.webfile import WebConfigFile
from remediation.model import Signal
from remediation.receiver.alertmanager import Truncated
from remediation.receiver.auth import Access
from remediation.receiver.doors import Doors
from remediation.receiver.routes import Receiver, webhook_routes
from tests.remediation.receiver.sample import JSON

PATIENCE_SECONDS = 60.0


@dataclass
class Kept:
    """What a receiver hands on; while ``broken`` nothing can be kept."""

    signals: list[Signal] = field(default_factory=list)
    truncated: list[Truncated] = field(default_factory=list)
    broken: bool = False

    def receive(self, signals: Sequence[Signal]) -> None:
        if self.broken:
            raise ComposeAgentError("the disk that holds /var/lib/compose-agent is full")
        self.signals += signals


def receiver_of(kept: Kept, doors: Doors | None = None) -> Receiver:
    return Receiver(kept.receive, doors or Doors(Access(), 1 << 20), kept.truncated.append)


@contextmanager
def served(receiver: Receiver, web: WebConfigFile | None = None) -> Iterator[WebServer]:
    """Serve the webhook on a free port."""
    with WebServer(Address("127.0.0.1", 0), routed(webhook_routes(receiver)), web=web) as server:
        yield server


def asked(
    server: WebServer,
    body: bytes | None = None,
    headers: Mapping[str, str] = JSON,
    *,
    method: str = "POST",
    path: str = "/webhook",
) -> tuple[int, bytes, Mapping[str, str]]:
    """Send one request and return status, body and headers of the answer."""
    address: Any = server.address
    with closing(
        http.client.HTTPConnection("127.0.0.1", address.port, timeout=PATIENCE_SECONDS)
    ) as connection:
        connection.request(method, path, body, dict(headers))
        answer = connection.getresponse()
        return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
