"""The manager as a role."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from compose_agent import __version__
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.errors import ConfigError, Problem
from compose_agent.role import ConfigState
from compose_agent.web import health
from compose_agent.web.health import Readiness
from compose_agent.web.response import Handler, Response, RouteTable
from compose_agent.web.webfile import WebConfigFile
from fleet.manager.alerts import Alerts
from fleet.manager.api import NodesApi
from fleet.manager.app import App
from fleet.manager.check import require_safety
from fleet.manager.commands.metrics import CommandMetrics
from fleet.manager.commands.part import Commands
from fleet.manager.configs.metrics import RolloutMetrics
from fleet.manager.configs.part import Configs
from fleet.manager.credentials.parts import AgentAccess
from fleet.manager.custom import Custom
from fleet.manager.desk import Counts, Desk
from fleet.manager.endpoint import Endpoint
from fleet.manager.herd import Herd
from fleet.manager.hosts.parts import Hosts
from fleet.manager.jobs.part import JobsPart
from fleet.manager.longlived import LongLived
from fleet.manager.metrics import ManagerMetrics
from fleet.manager.model import Transition
from fleet.manager.openapi import ApiPart, Operation, Table
from fleet.manager.openapi.document import OpenApi
from fleet.manager.page import NodesPage
from fleet.manager.page.access import AccessPages
from fleet.manager.page.alerts import AlertsPage
from fleet.manager.page.configs import ConfigsPage
from fleet.manager.page.frame import Frame
from fleet.manager.page.order import OrderPages
from fleet.manager.page.pulse import Pulse
from fleet.manager.page.work import WorkPages
from fleet.manager.people.parts import People
from fleet.manager.principal import KEY, LOCAL
from fleet.manager.registry import Registry
from fleet.manager.server import Server
from fleet.manager.settings import ManagerSettings
from fleet.manager.store import Store, manager_database
from fleet.manager.writer import Writer

NAME = "manager"
# Silence is noticed within this time; a sweep over ten thousand nodes takes some milliseconds.
_SWEEP_SECONDS = 0.5


class ManagerRole:
    """Store, registry, server. Raises InstanceRunning and StateError when the state cannot be had."""

    def __init__(self, config: Config, state: ConfigState) -> None:
        self._state = state
        self._settings = settings = config.of(ManagerSettings)
        self._stopping = False
        self._pulse = Pulse()
        self._web = WebConfigFile(settings.web_config_file) if settings.web_config_file else None
        require_safety(settings, self._web)
        self._metrics = ManagerMetrics(state)
        # Each part makes its own store of it.
        self._database = manager_database(config.of(GeneralSettings).state_dir())
        self._store = Store(self._database)
        self._writer = Writer(self._store, self._metrics.write_failed)
        self._registry = Registry(self._note, most=settings.most_nodes)
        self._registry.expect(settings.expected)
        self._long_lived = LongLived(lambda: self._registry.ended)
        self._custom = Custom(self._registry)
        rollouts = RolloutMetrics(self._metrics.registry)
        self._configs = Configs(self._registry, self._database, rollouts, self._pulse.beat)
        self._metrics.watch(self._registry)
        self._people = People(self._database, settings, lambda: self._web)
        self._access = AgentAccess(self._database, settings, self._people.directory, self._registry)
        metrics = CommandMetrics(self._metrics.registry)
        self._commands = Commands(self._database, self._custom, self._registry, metrics)
        self._commands.listen(lambda _changed: self._pulse.beat())
        self._jobs = JobsPart(self._database, self._commands, self._registry)
        nodes = NodesApi(self._registry, self._writer.history, self._keep)
        self._hosts = Hosts(self._registry, self._database, self._custom, self._pulse.beat)
        self._alerts = Alerts(
            self._registry,
            self._database,
            self._custom,
            self._hosts.book,
            metrics=self._metrics.registry,
            changed=self._pulse.beat,
        )
        parts = (self._people.api, self._access, self._commands.api, self._jobs.api, self._configs.api)
        self._api = Table(self._operations(nodes, *parts, self._hosts, self._alerts.api))
        self._table = {
            **health.routes(self._probe),
            **self._pages(),
            "/metrics": {"GET": lambda environ: self._metrics.view(self._registry, environ)},
        }
        self.app = App(self._endpoint(settings), self._find, self._people, self._web, self._pulse)
        self._server = Server(
            self.app,
            self._web,
            self._tick,
            _SWEEP_SECONDS,
            late=self._metrics.loop_late.observe,
            proxies=map(str, settings.proxy_addresses),
        )

    def start(self) -> None:
        """Take up the nodes of the last time, and listen."""
        _raise_descriptor_limit()
        try:
            self._registry.restore(self._store.load())
            self._configs.restore()
            self._commands.start()
            self._jobs.driver.start()
            self._server.bind(self._settings.listen_addresses)
        except BaseException:
            self._database.close()
            raise
        self._writer.start(self._registry)
        self._hosts.start()
        self._alerts.start()
        self._configs.start()
        self._server.start()

    def apply(self, config: Config) -> None:
        """Take another interval and other expected nodes; the rest waits for a restart."""
        settings = config.of(ManagerSettings)
        if settings.listen_addresses != self._settings.listen_addresses:
            what = "manager.web.listen-address cannot change while agents are connected: restart the manager"
            raise ConfigError(Problem(NAME, what))
        self._registry.expect(settings.expected)
        self._settings = settings

    def stop(self) -> None:
        """Close every connection, without taking that for the agents' end, and write what is left."""
        self._stopping = True
        self._pulse.beat()  # whoever follows a page is told that this is the end
        self._server.stop()
        self._long_lived.close()
        self._configs.stop()
        self._jobs.driver.stop()
        self._commands.stop()
        self._alerts.stop()
        self._writer.stop()
        self._hosts.stop()
        self._people.close()
        self._access.close()
        self._database.close()

    def listeners(self) -> tuple[str, ...]:
        """Return the URLs of the manager."""
        return self._server.urls()

    def reasons(self) -> tuple[str, ...]:
        """Return why the manager does not do its work."""
        errors = (
            self._server.error(),
            self._writer.error,
            self._commands.error,
            self._jobs.error,
            self._configs.error(),
        )
        return tuple(each for each in errors if each)

    def routes(self) -> WSGIApplication:
        """Return the routes for the local socket, where everybody is the host's administrator."""
        return self._serve_locally

    def _serve_locally(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ[KEY] = LOCAL
        methods = self._find(environ["PATH_INFO"]) or {}
        method = environ["REQUEST_METHOD"]
        handler = methods.get("GET" if method == "HEAD" else method)
        answer = self._people.auditor.handle(handler, environ) if handler else Response.text(404, "not found")
        return answer(environ, start_response)

    def _find(self, path: str) -> dict[str, Handler] | None:
        found = self._table.get(path)
        if found is not None:
            return dict(found)
        return self._api.route(path)

    def _pages(self) -> RouteTable:
        """Return the pages of all parts, in one frame."""
        frame, book = Frame(), self._hosts.book
        nodes = NodesPage(
            frame, self._registry, self._writer.history, book, forms=self._people.forms, trouble=self._trouble
        )
        alerts = AlertsPage(frame, self._alerts.api.shown)
        work = WorkPages(frame, self._commands.api, self._jobs.api)
        configs = ConfigsPage(frame, self._configs.view)
        order = OrderPages(frame, self._commands.api, self._people.forms)
        access = AccessPages(frame, self._people.directory, self._people.audit)
        pages = (nodes, alerts, work, order, configs, access, self._people)
        return frame.serve(*(each.routes() for each in pages))

    def _trouble(self) -> str:
        return "; ".join(self.reasons())

    def _operations(self, *parts: ApiPart) -> list[Operation]:
        """Return everything that the API can be asked, the document of it as well."""
        found = [each for part in parts for each in part.operations()]
        return found + list(OpenApi(lambda: self._api.operations).operations())

    def _endpoint(self, settings: ManagerSettings) -> Endpoint:
        counts = Counts(self._metrics.refused, self._metrics.full_state, self._metrics.gap)
        desk = Desk(
            self._registry,
            lambda: self._settings.heartbeat,
            counts,
            time.monotonic,
            custom=self._custom,
            doorman=self._access.doorman,
            configs=self._configs.office,
        )
        return Endpoint(
            desk,
            self._registry,
            self._metrics,
            admission=self._access.admission,
            herd=Herd(settings.connect_rate),
            stopping=lambda: self._stopping,
        )

    def _keep(self) -> str:
        """Write what has changed, and return why that failed, empty if it did not."""
        self._writer.flush()
        return self._writer.error

    def _tick(self) -> None:
        self._registry.sweep(_SWEEP_SECONDS)
        self._long_lived.tick()

    def _note(self, transition: Transition) -> None:
        self._writer.note(transition)
        self._metrics.transition(transition)
        self._pulse.beat()

    def _probe(self) -> Readiness:
        return Readiness(NAME, __version__, self._state.revision, self.listeners(), self.reasons())


def _raise_descriptor_limit() -> None:
    """Allow this process as many open files as the host does: each agent takes one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
