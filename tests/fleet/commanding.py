"""A whole fleet of one host in this process: manager, agent, remediation, a fake Engine."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from compose_agent.commands.roles import REMEDIATION, SCHEMA
from compose_agent.config import Config, resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from compose_agent.runner import Runner
from fleet.agent.role import AgentRole
from fleet.manager.role import ManagerRole
from tests.fleet.manager.serving import Manager, layer_of, serving, until

OPTED_IN = {"compose-agent.remediate": "restart"}
ENDS = {"done", "failed", "refused", "expired", "unknown"}


def ask(role: ManagerRole, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask a manager as its host does, over the local socket."""
    path, _, query = path.partition("?")
    status: list[str] = []
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(json.dumps(body).encode()),
    }
    answer = b"".join(role.routes()(environ, lambda said, *_: status.append(said)))  # type: ignore[arg-type]
    return int(status[0][:3]), json.loads(answer) if answer else None


@dataclass
class Host:
    """One host; ``names`` are the roles that its configuration runs."""

    folder: Path
    engine: FakeEngine
    url: str
    names: Sequence[str] = ("agent", "remediation")
    options: dict[str, str] = field(default_factory=dict)

    def config(self, **options: str) -> Config:
        given = {
            "state-dir": str(self.folder / "state"),
            "run-dir": str(self.folder / "run"),
            "docker.host": self.engine.url,
            "remediation.web.listen-address": "127.0.0.1:0",
            "remediation.budget.host": "10000/10m",
            "remediation.budget.global": "10000/10m",
            "remediation.freeze-after": "10000/10m",
            "agent.manager-url": self.url,
            **self.options,
            **options,
        }
        return resolve(SCHEMA, [layer_of(given)])

    @contextmanager
    def agent(self, **options: str) -> Iterator[AgentRole]:
        role = AgentRole(self.config(**options), ConfigState(), lambda _config: list(self.names))
        role.start()
        try:
            yield role
        finally:
            role.stop()

    @contextmanager
    def remediation(self) -> Iterator[Runner]:
        runner = Runner(REMEDIATION, SCHEMA, self.config(), owns_process=False)
        runner.start()
        try:
            yield runner
        finally:
            runner.stop()

    def restarts(self) -> int:
        return sum(count for path, count in self.engine.requests().items() if path.endswith("/restart"))


@dataclass
class Fleet:
    """A manager with agents of one or more hosts."""

    manager: Manager

    def give(self, status: int = 202, **asked: Any) -> list[dict[str, Any]]:
        found, answer = ask(self.manager.role, "POST", "/api/v1/commands", asked)
        assert found == status, answer
        return list(answer["commands"]) if found == 202 else [answer]

    def command(self, command_id: str) -> dict[str, Any]:
        found: dict[str, Any] = ask(self.manager.role, "GET", f"/api/v1/commands/{command_id}")[1]
        return found

    def ended(self, command_id: str) -> dict[str, Any]:
        until(lambda: self.command(command_id)["stage"] in ENDS)
        return self.command(command_id)

    def online(self, *names: str) -> None:
        until(lambda: all(self.manager.state(name) == "online" for name in names))


@contextmanager
def fleet_of_one(folder: Path, *, url: str = "ws", **options: str) -> Iterator[tuple[Fleet, Host]]:
    """Run a manager, and an agent ``web-1`` with remediation, over a fake Engine with ``web``."""
    with ExitStack() as stack:
        engine = stack.enter_context(FakeEngine(folder / "docker.sock"))
        engine.add_container("web", labels=OPTED_IN)
        manager = stack.enter_context(serving(folder / "manager"))
        address = manager.ws if url == "ws" else f"{manager.url}/agent"
        host = Host(folder, engine, address, options={"agent.node-id": "web-1", **options})
        stack.enter_context(host.remediation())
        stack.enter_context(host.agent())
        fleet = Fleet(manager)
        fleet.online("web-1")
        yield fleet, host
