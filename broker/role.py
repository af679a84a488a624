"""The broker as a role: both sockets, the actor behind one of them, and what it tells of itself."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from wsgiref.types import WSGIApplication

from broker import act, read
from broker.app import make_app
from broker.metrics import BrokerMetrics
from broker.settings import BrokerSettings
from broker.streams import Streams
from compose_agent import __version__
from compose_agent.address import UnixAddress
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.deadline import Deadline
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.declared import declared_by
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.verbs.actor import LocalActor
from compose_agent.dockerd.verbs.budget import Budget, Limits
from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.journal import Journal
from compose_agent.dockerd.verbs.optin import OptIn
from compose_agent.dockerd.verbs.registry import VERBS
from compose_agent.errors import EngineError
from compose_agent.role import ConfigState
from compose_agent.web.health import Readiness, with_health
from compose_agent.web.listeners import Listeners
from compose_agent.web.local import SOCKET_MODE
from compose_agent.web.propagation import with_incoming_trace
from compose_agent.web.server import WebServer
from compose_agent.web.webfile import WebConfigFile

NAME = "broker"
# Whoever asks for readiness again within this time hears what the Engine said before.
_PING_EVERY_SECONDS = 2.0
# An id that nobody has: asking for it tells whether the journal can be read.
_NOBODYS_ID = "-"


class BrokerRole:
    """Holds the Engine's socket; see the package for what it lets through. Raises InstanceRunning."""

    def __init__(self, config: Config, state: ConfigState) -> None:
        self._state = state
        self._settings = settings = config.of(BrokerSettings)
        general = config.of(GeneralSettings)
        endpoint = find_endpoint(general.docker_host, os.environ)
        self._client = EngineClient(endpoint)
        self._reader = EngineClient(endpoint, connections=read.limits(settings.max_streams).threads)
        self._journal = Journal(general.state_dir())
        opt_in = OptIn(settings.allow, declared_by(general))
        limits = Limits(settings.per_target, settings.per_host, settings.window)
        self._actor = LocalActor(self._client, self._journal, VERBS, opt_in, Budget(limits))
        self._streams = Streams(settings.max_streams)
        self._metrics = BrokerMetrics(state, self._streams.count)
        self._app = make_app(self._metrics, self._probe)
        self._sockets = self._make_sockets(settings, general.run_dir())
        web = WebConfigFile(settings.web_config_file) if settings.web_config_file else None
        self._listeners = Listeners(self._app, web)
        self._engine = _Pulse(self._client)

    def start(self) -> None:
        """Listen on both sockets, and where metrics are wanted."""
        with ExitStack() as on_failure:
            for server in self._sockets:
                server.bind()
                on_failure.callback(server.stop)
            self._listeners.bind(self._settings.listen_addresses)
            on_failure.callback(self._listeners.stop)
            for server in self._sockets:
                server.start()
            self._listeners.start()
            on_failure.pop_all()

    def apply(self, config: Config) -> None:
        """Take new listeners and another list of variables that are shown; the rest waits for a restart."""
        settings = config.of(BrokerSettings)
        self._listeners.change(settings.listen_addresses)
        self._settings = settings

    def stop(self) -> None:
        """End streams, let go of who waits for a verb, and close; what was begun is found again by its id."""
        self._streams.close()
        self._actor.close()
        # Whoever waits for the Engine hears at once that it is over.
        self._client.close()
        self._reader.close()
        for server in self._sockets:
            server.stop()
        self._listeners.stop()
        self._journal.close()

    def listeners(self) -> tuple[str, ...]:
        """Return where the broker listens, its two sockets first."""
        return (*(server.url for server in self._sockets), *self._listeners.urls())

    def reasons(self) -> tuple[str, ...]:
        """Return why nothing can be asked or done."""
        return tuple(each for each in (self._engine.error(), self._journal_error()) if each)

    def routes(self) -> WSGIApplication:
        """Return the routes for the local socket: the same as on TCP."""
        return self._app

    def _make_sockets(self, settings: BrokerSettings, run_dir: Path) -> Sequence[WebServer]:
        reading = read.ReadApp(self._reader, self._streams, self._metrics, lambda: self._settings.env_allow)
        acting = act.ActApp(self._actor, VERBS.keys(), self._metrics)
        served = (
            (settings.read_socket or run_dir / "read.sock", reading, read.limits(settings.max_streams)),
            (settings.act_socket or run_dir / "act.sock", acting, act.LIMITS),
        )
        return [
            WebServer(
                UnixAddress(path, SOCKET_MODE, settings.socket_group),
                with_incoming_trace(with_health(app, self._probe)),
                limits=limits,
            )
            for path, app, limits in served
        ]

    def _journal_error(self) -> str:
        try:
            self._actor.standing(_NOBODYS_ID)
        except ActorUnavailable as error:
            return str(error)
        return ""

    def _probe(self) -> Readiness:
        return Readiness(NAME, __version__, self._state.revision, self.listeners(), self.reasons())


class _Pulse:
    """Whether the Engine answers, asked when somebody wants to know, and not too often."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._fresh = Deadline(0.0)
        self._error = ""

    def error(self) -> str:
        """Return why it does not, empty when it does."""
        if self._fresh.expired:
            try:
                self._client.ping()
                self._error = ""
            except EngineError as error:
                self._error = str(error)
            self._fresh.restart(_PING_EVERY_SECONDS)
        return self._error
