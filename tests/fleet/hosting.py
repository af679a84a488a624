"""A host with a real agent: roles behind their local sockets, a fake Engine, a link to a manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from wsgiref.types import WSGIApplication

from compose_agent.commands.roles import SCHEMA
from compose_agent.config import resolve
from compose_agent.dockerd.fake import FakeEngine
from compose_agent.role import ConfigState
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server
from compose_agent.web.response import Response, RouteTable, routed
from fleet.agent.role import AgentRole
from tests.fleet.manager.serving import Manager, layer_of, until

PLAIN = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Host:
    name: str
    role: AgentRole
    engine: FakeEngine

    def wait_online(self, manager: Manager) -> None:
        until(lambda: manager.state(self.name) == "online")


@contextmanager
def hosting(
    folder: Path,
    url: str,
    name: str,
    roles: Mapping[str, WSGIApplication],
    *,
    engine: FakeEngine | None = None,
    **options: str,
) -> Iterator[Host]:
    """Run a host called ``name``, with files in ``folder``, whose agent connects to ``url``.

    One that comes back brings its ``engine`` with it: with another one it is another host.
    """
    folder.mkdir(exist_ok=True)
    given = {
        "state-dir": str(folder / "state"),
        "run-dir": str(folder / "run"),
        "agent.manager-url": url,
        "agent.node-id": name,
        "agent.heartbeat-interval": "1s",
        **{f"agent.{key.replace('_', '-')}": value for key, value in options.items()},
    }
    with ExitStack() as held:
        for role, app in roles.items():
            held.enter_context(standing_in(folder / "run", role, app))
        engine = engine or held.enter_context(FakeEngine(folder / "docker.sock"))
        config = resolve(SCHEMA, [layer_of({**given, "docker.host": engine.url})])
        agent = AgentRole(config, ConfigState(), lambda _config: ["agent", *roles])
        agent.start()
        held.callback(agent.stop)
        yield Host(name, agent, engine)


@contextmanager
def standing_in(run_dir: Path, role: str, app: WSGIApplication) -> Iterator[None]:
    """Serve ``app`` at a role's local socket, and nowhere else."""
    readiness = Readiness(role, "1.2.3", 1, (), ())
    server = local_server(run_dir, role, lambda: readiness, lambda _body: 1, app)
    server.bind()
    server.start()
    try:
        yield
    finally:
        server.stop()


def metrics_of(text: Callable[[], str]) -> WSGIApplication:
    """Return a role's routes that have nothing but metrics."""
    table: RouteTable = {"/metrics": {"GET": lambda _environ: Response(200, text().encode(), PLAIN)}}
    return routed(table)
