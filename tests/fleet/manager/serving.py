"""A manager in this process, on a free port, and an agent by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import urllib3
from websockets.sync.client import ClientConnection, connect

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import Given, resolve
from compose_agent.role import ConfigState
from fleet.manager.role import ManagerRole
from fleet.opamp.attributes import Plain, to_attributes
from fleet.opamp.frames import from_frame, to_frame
from fleet.opamp.opamp_pb2 import AgentToServer, ServerToAgent
from fleet.opamp.uid import new_uid

WAIT_SECONDS = 30.0
# For one answer: the library would wait for three seconds, which a loaded machine takes now and then.
PATIENCE_SECONDS = 120.0


@dataclass(frozen=True)
class Manager:
    role: ManagerRole
    agents: ExitStack  # closed before the manager

    @property
    def url(self) -> str:
        return self.role.listeners()[0]

    @property
    def ws(self) -> str:
        return self.url.replace("http", "ws", 1) + "/v1/opamp"

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        return urllib3.request(
            "GET", self.url + path, headers=headers, retries=False, timeout=PATIENCE_SECONDS
        )

    def rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get("/api/v1/nodes").json()["nodes"]
        return rows

    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["node_id"]: node for node in self.rows()}

    def state(self, node_id: str) -> str:
        return str(self.nodes().get(node_id, {}).get("state"))

    def local(self, method: str, path: str) -> None:
        """Ask as the host itself does, over the local socket."""
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": ""}
        list(self.role.routes()(environ, lambda *_: None))  # type: ignore[arg-type]


@contextmanager
def serving(state: Path, **options: str) -> Iterator[Manager]:
    given = {
        "state-dir": str(state),
        "manager.insecure": "true",
        "manager.web.listen-address": "127.0.0.1:0",
        "manager.heartbeat-interval": "1s",
        **{f"manager.{key.replace('_', '-')}": value for key, value in options.items()},
    }
    role = ManagerRole(resolve(SCHEMA, [layer_of(given)]), ConfigState())
    role.start()
    try:
        with ExitStack() as agents:
            yield Manager(role, agents)
    finally:
        role.stop()


def layer_of(values: Mapping[str, str]) -> dict[str, Given]:
    return {key: Given(value, "test", named=True) for key, value in values.items()}


class Place(Protocol):
    """Where agents by hand connect, and what closes them."""

    @property
    def ws(self) -> str: ...
    @property
    def agents(self) -> ExitStack: ...


class HandAgent:
    """An agent whose every message is made by the test; ``interval`` is what it says of its heartbeat.

    It has no heart: unless the interval is long, it is late before a loaded machine has looked.
    """

    def __init__(
        self, manager: Place, name: str, uid: bytes | None = None, interval: float = 3600.0, **more: Plain
    ) -> None:
        self.uid = uid or new_uid()
        self.number = 0
        self._attributes: dict[str, Plain | None] = {
            "service.name": "by-hand",
            "service.instance.id": name,
            "compose_agent.heartbeat.interval_seconds": interval,
            **{key.replace("_", "."): value for key, value in more.items()},
        }
        self._held = ExitStack()
        opened = connect(manager.ws, compression=None, open_timeout=WAIT_SECONDS)
        self.connection: ClientConnection = self._held.enter_context(opened)
        manager.agents.callback(self._held.close)

    def message(self, *, described: bool = False) -> AgentToServer:
        message = AgentToServer(instance_uid=self.uid, sequence_num=self.number, capabilities=0x2001)
        if described:
            message.agent_description.identifying_attributes.extend(to_attributes(self._attributes))
        self.number += 1
        return message

    def say(self, message: AgentToServer | None = None, *, described: bool = False) -> ServerToAgent:
        self.connection.send(to_frame(message or self.message(described=described)))
        return self.hear()

    def hear(self) -> ServerToAgent:
        data = self.connection.recv(WAIT_SECONDS)
        assert isinstance(data, bytes)
        return from_frame(ServerToAgent, data)


def until(true: Callable[[], object], seconds: float = WAIT_SECONDS) -> float:
    """Return how long it took until ``true`` was."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < seconds, "it did not come to that"
        time.sleep(0.05)
    return time.monotonic() - began
