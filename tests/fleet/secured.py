"""A manager with TLS and its own authority, and agents by hand that come with tokens and certificates."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from fleet.agent.websocket import WatchedConnection
from fleet.manager.setup import Files, initialize
from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.frames import from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent
from fleet.opamp.uid import new_uid
from tests.fleet.manager.people.asking import locally
from tests.fleet.manager.serving import WAIT_SECONDS, Manager, serving


@dataclass(frozen=True)
class Secured:
    """A manager that runs with what ``compose-agent manager init`` has made."""

    manager: Manager
    files: Files

    @property
    def address(self) -> str:
        return self.manager.url.replace("https", "wss", 1) + "/agent"

    def token(self, environments: Sequence[str] | None = None, **more: object) -> str:
        """Return a token with which agents join."""
        draft = {"name": "join", "kind": "join", "environments": environments, **more}
        status, made = locally(self.manager, "POST", "/api/v1/tokens", draft)
        assert status == 201, made
        return str(made["token"])

    def node(self, name: str) -> dict[str, Any]:
        """Return everything of a node, nothing for one that is not there."""
        status, found = locally(self.manager, "GET", f"/api/v1/nodes/{name}")
        return found if status == 200 else {}

    def state(self, name: str) -> str:
        return str(self.node(name).get("state"))


@contextmanager
def secured(folder: Path, *, signs: bool = True, web: str | None = None, **options: str) -> Iterator[Secured]:
    """Run a manager; ``signs`` is whether it has its authority's key, ``web`` its web configuration."""
    files = Files(folder / "pki")
    if not files.ca.exists():
        initialize(files.folder, ["127.0.0.1"])
    if web:
        files.web.write_text(web)
    authority = {"ca_file": str(files.ca), "ca_key_file": str(files.ca_key)} if signs else {}
    given = {"insecure": "false", "web.config.file": str(files.web), **authority, **options}
    with serving(folder / "manager", **given) as manager:
        yield Secured(manager, files)


class Visitor:
    """An agent by hand over TLS; its connection is closed with the manager's test."""

    def __init__(
        self,
        place: Secured,
        *,
        token: str = "",
        certificate: Path | None = None,
        uid: bytes | None = None,
        name: str = "by-hand",
        **told: Plain,
    ) -> None:
        self.uid = uid or new_uid()
        self._number = 0
        self._told: dict[str, Plain | None] = {
            "service.name": "by-hand",
            "service.instance.id": name,
            "compose_agent.heartbeat.interval_seconds": 3600.0,
            **{key.replace("_", "."): value for key, value in told.items()},
        }
        context = ssl.create_default_context(cafile=place.files.ca)
        if certificate:
            context.load_cert_chain(certificate)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        opened = connect(
            place.address,
            ssl=context,
            additional_headers=headers,
            compression=None,
            open_timeout=WAIT_SECONDS,
            create_connection=WatchedConnection,
        )
        self.connection = place.manager.agents.enter_context(opened)

    def say(self, *, described: bool = True, csr: bytes = b"") -> ServerToAgent:
        message = AgentToServer(instance_uid=self.uid, sequence_num=self._number, capabilities=0x2101)
        self._number += 1
        if described:
            message.agent_description.identifying_attributes.extend(to_attributes(self._told))
        if csr:
            message.connection_settings_request.opamp.certificate_request.csr = csr
        self.connection.send(to_frame(message))
        return self.hear()

    def hear(self) -> ServerToAgent:
        data = self.connection.recv(WAIT_SECONDS)
        assert isinstance(data, bytes)
        return from_frame(ServerToAgent, data)

    def offered(self, csr: bytes) -> ServerToAgent:
        """Ask for a credential and return the message that has one."""
        reply = self.say(csr=csr)
        while not reply.connection_settings.opamp.ByteSize():
            reply = self.hear()
        return reply
