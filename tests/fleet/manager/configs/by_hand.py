"""Agents by hand that take configurations, and the manager's API for them."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from fleet.manager.principal import KEY, LOCAL, Principal
from fleet.opamp.attributes import Plain
from fleet.opamp.capabilities import AgentCan
from fleet.opamp.frames import from_frame
from fleet.opamp.opamp_pb2 import (
    AgentToServer,
    RemoteConfigStatus,
    RemoteConfigStatuses_APPLIED,
    RemoteConfigStatuses_FAILED,
    ServerToAgent,
)
from tests.fleet.manager.serving import HandAgent, Manager, Place

TAKES = (
    AgentCan.REPORT_STATUS
    | AgentCan.ACCEPT_REMOTE_CONFIG
    | AgentCan.REPORT_REMOTE_CONFIG
    | AgentCan.REPORT_HEALTH
)


class ConfiguredAgent(HandAgent):
    """Applies what it is sent, except files in which ``bad`` stands, and says so."""

    def __init__(
        self, manager: Place, name: str, former: ConfiguredAgent | None = None, **more: Plain
    ) -> None:
        super().__init__(
            manager, name, former.uid if former else None, interval=600.0, **more
        )  # it is never late
        self._name = name
        self.files: dict[str, str] = former.files if former else {}
        self.status: RemoteConfigStatus = former.status if former else RemoteConfigStatus()
        first = self.message(described=True)
        first.remote_config_status.CopyFrom(self.status)
        self.hear_from(self.say(first))

    @property
    def hash(self) -> bytes:
        return self.status.last_remote_config_hash

    def comes_back(self, manager: Place) -> ConfiguredAgent:
        """Return the same agent on a new connection, with what it has and has said."""
        return ConfiguredAgent(manager, self._name, self)

    def message(self, *, described: bool = False) -> AgentToServer:
        message = super().message(described=described)
        message.capabilities = TAKES
        return message

    def hear_from(self, reply: ServerToAgent) -> bool:
        """Take what an answer sets; return whether it set something."""
        if not reply.HasField("remote_config"):
            return False
        given = reply.remote_config
        files = {name: file.body.decode() for name, file in given.config.config_map.items()}
        self.status = RemoteConfigStatus(last_remote_config_hash=given.config_hash)
        if any("bad" in text for text in files.values()):
            self.status.status = RemoteConfigStatuses_FAILED
            self.status.error_message = "agent.yml:1: bad is no option"
        else:
            self.status.status, self.files = RemoteConfigStatuses_APPLIED, files
        message = self.message()
        message.remote_config_status.CopyFrom(self.status)
        self.hear_from(self.say(message))
        return True

    def listen(self) -> None:
        """Take the next thing that the manager sets by itself."""
        while not self.hear_from(self.hear()):
            pass

    def hear(self) -> ServerToAgent:
        """Return what comes next; a manager that starts on a machine under full load takes its time."""
        data = self.connection.recv(180.0)
        assert isinstance(data, bytes)
        return from_frame(ServerToAgent, data)

    def speaks(self) -> bool:
        """Say that it is there, and take what is set in the answer; always true."""
        self.hear_from(self.say())
        return True


def ask(
    manager: Manager, method: str, path: str, body: object = None, who: Principal = LOCAL
) -> tuple[int, Any]:
    """Return status and document of a request as somebody."""
    path, _, query = path.partition("?")
    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
    environ["wsgi.input"] = BytesIO(json.dumps(body).encode())
    environ[KEY] = who
    methods = manager.role._find(path)
    assert methods is not None, path
    answer = methods[method](environ)
    return answer.status, json.loads(answer.body)


def push(manager: Manager, body: str | None, **more: str) -> dict[str, Any]:
    """Return the roll-out that begins with a new text of a layer."""
    asked = {"name": "agent.yml", "body": body, "gate": "0s", "batch": "100%", "within": "5m", **more}
    status, document = ask(manager, "POST", "/api/v1/configs", asked)
    assert status == 202, document
    rollout: dict[str, Any] = document["rollout"]
    return rollout


def rollout(manager: Manager, number: int) -> dict[str, Any]:
    status, document = ask(manager, "GET", f"/api/v1/rollouts/{number}")
    assert status == 200, document
    found: dict[str, Any] = document
    return found
