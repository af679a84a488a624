"""The remediation role: what it holds, and how it takes a new configuration."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from compose_agent import __version__
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.declared import declared_by
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.stream import Event
from compose_agent.dockerd.usage import UsageReader
from compose_agent.dockerd.usage.cgroup import Mounts
from compose_agent.dockerd.usage.service import ServiceMeter
from compose_agent.errors import EngineError, StateError
from compose_agent.role import ConfigState
from compose_agent.tracing import pipeline
from compose_agent.web.health import Readiness, with_health
from compose_agent.web.listeners import Listeners
from compose_agent.web.metricsview import metrics_view
from compose_agent.web.response import RouteTable, routed
from compose_agent.web.webconfig import WebConfig
from compose_agent.web.webfile import WebConfigFile
from remediation.actions import FAILOVER
from remediation.active import Active, limits_of
from remediation.actor import broker_hands, calling_hands, own_hands
from remediation.announcer import Announcer
from remediation.api import reading_routes, writing_routes
from remediation.check import policies_for
from remediation.clients import clients_of
from remediation.commands.door import Door, command_routes
from remediation.commands.policies import COMMANDS
from remediation.commands.probing import probe_routes
from remediation.engine import Engine
from remediation.failover.keeper import Keeper
from remediation.failover.look import Ill, Sight
from remediation.journal import Journal
from remediation.metrics import RemediationMetrics
from remediation.model import Signal
from remediation.operations import Operations
from remediation.ours import Ours
from remediation.outside import Outside
from remediation.overview import Health, Observer
from remediation.page import RemediationPage
from remediation.page.rights import Rules
from remediation.planner import Planner
from remediation.policies.model import Policy, Rate
from remediation.receiver.doors import doors_of
from remediation.receiver.received import Received
from remediation.receiver.routes import Receiver, trigger_routes, webhook_routes
from remediation.receiver.signatures import Replays
from remediation.settings import RemediationSettings
from remediation.traces.follower import Follower
from remediation.traces.seen import Seen
from remediation.traces.subjects import Subjects
from remediation.triggers.host import Triggers, Wishes
from remediation.triggers.memory import FolderMemory
from remediation.watch import Watch
from remediation.world import World

# In a container they may be the container's own; the Engine's stats take their place then.
_MOUNTS = Mounts(Path("/proc"), Path("/sys/fs/cgroup"))
# Below the state directory: what triggers remember.
_TRIGGERS = "remediation-triggers"
# Of a loop that turns four times a second.
_HEARTBEAT_SECONDS = 30.0


class RemediationRole:
    """Journal, actor, engine, triggers, and the listeners of the receiver."""

    def __init__(self, config: Config, state: ConfigState) -> None:
        self._state = state
        self._settings = config.of(RemediationSettings)
        general = config.of(GeneralSettings)
        self._clients = clients_of(self._settings)
        self._active = Active.of(self._settings, policies_for(self._settings))
        self._journal = Journal(general.state_dir())
        ours = Ours()
        self._watch = Watch(ours.has)
        memory = FolderMemory(_made(general.state_dir() / _TRIGGERS))
        endpoint = find_endpoint(general.docker_host, os.environ)
        self._client = EngineClient(endpoint)
        self._triggers = Triggers(self._receive, memory, local=endpoint.socket_path is not None)
        self._declared = declared_by(general)
        self._inventory = Inventory(
            self._client,
            on_event=self._hear,
            since_ns=self._triggers.since_ns,
            on_look=self._looked,
            declared=self._declared,
        )
        self._hands = calling_hands(
            broker_hands(self._settings.actor)
            if self._settings.actor
            else own_hands(self._client, general.state_dir(), self._active, self._declared),
            lambda: self._clients.alertmanager,
        )
        self._outside = Outside(self._clients, self._receive)
        self._announcer = Announcer(self._journal, self._clients, self._settings)
        sight = Sight(self._world, self._ill, self._client.inspect)
        self._failover = Keeper(self._journal, sight, self._receive, memory)
        seen_by_us = Seen()
        self._traces = Follower(self._journal, Subjects(self._inventory.containers).of, seen_by_us)
        self._engine = Engine(
            self._journal,
            actor=self._hands.actor,
            world=self._world,
            planner=Planner(lambda: self._active.policies, time.time),
            active=self._active,
            outside=self._outside,
            ours=ours,
            workers=self._settings.workers,
            courses={FAILOVER: self._failover.course},
            seen=seen_by_us,
        )
        self._web = WebConfigFile(self._settings.web_config_file) if self._settings.web_config_file else None
        self._replays = Replays()
        doors = doors_of(self._settings, self._web_config(), self._replays)
        self._receiver = Receiver(self._receive, doors, self._outside.truncated, replays=self._replays)
        metrics: RouteTable = {"/metrics": {"GET": metrics_view(RemediationMetrics(state, self).text)}}
        names = self._active_names
        observer = Observer(self._journal, self._active, self._health)
        operations = Operations(self._journal, self._engine.wake)
        asked = reading_routes(self._journal, observer, names)
        self._page = RemediationPage(
            self._journal,
            observer=observer,
            operations=operations,
            policies=names,
            rules=Rules.of(self._settings),
        )
        seen = {**self._page.routes(), **self._page.readable(asked)}
        self._outer = with_health(routed({**webhook_routes(self._receiver), **metrics, **seen}), self._probe)
        told = {
            **trigger_routes(self._receiver),
            **asked,
            **writing_routes(operations),
            **command_routes(Door(self._journal, self._engine.wake)),
            **probe_routes(self._client.inspect, local=endpoint.socket_path is not None),
        }
        self._inner = routed(told, self._outer)
        self._listeners = Listeners(self._serve, self._web)

    def start(self) -> None:
        """Listen, go on with what an earlier run began, and take alerts."""
        try:
            self._listeners.bind(self._settings.listen_addresses)
            self._announcer.start()
            self._traces.start(pipeline.current())
            # Events of what an earlier run began are ours, and are told again.
            self._engine.claim()
            self._inventory.start()
            self._declared.watch(self._inventory.refresh)
            self._engine.start()
            meter = ServiceMeter(UsageReader(_MOUNTS, self._client.stats))
            self._triggers.start(self._inventory, self._client.inspect, meter, self._wishes())
            self._failover.start()
            self._outside.start()
            self._listeners.start()
        except BaseException:
            self.stop()
            raise

    def apply(self, config: Config) -> None:
        """Take new settings whole, or raise ConfigError and change nothing."""
        settings = config.of(RemediationSettings)
        policies = policies_for(settings)
        doors = doors_of(settings, self._web_config(), self._replays)
        clients = clients_of(settings)
        self._listeners.change(settings.listen_addresses)
        self._receiver.doors, self._page.rules = doors, Rules.of(settings)
        self._active.policies, self._active.limits = policies, limits_of(settings)
        self._settings, self._clients = settings, clients
        self._outside.change(clients)
        self._announcer.change(clients, settings)
        self._triggers.change(self._wishes())
        self._engine.reconsider()

    def stop(self) -> None:
        """Take no more alerts and begin nothing; what is under way is looked after at the next start."""
        self._listeners.stop()
        self._failover.stop()
        self._triggers.stop()
        self._outside.stop()
        self._announcer.stop()
        self._hands.let_go()
        self._engine.stop()
        self._traces.stop()
        self._declared.stop()
        self._inventory.stop()
        self._client.close()
        self._hands.close()
        self._journal.close()

    def listeners(self) -> tuple[str, ...]:
        """Return the URLs of the receiver."""
        return self._listeners.urls()

    def reasons(self) -> tuple[str, ...]:
        """Return why alerts do not become actions."""
        silent = time.time() - self._engine.beat_at
        found = [
            self._journal.error,
            self._engine.error,
            self._engine.workers.error,
            self._engine_error(),
            f"nothing was decided for {silent:.0f} s" if silent > _HEARTBEAT_SECONDS else "",
        ]
        return tuple(dict.fromkeys(each for each in found if each))

    def routes(self) -> WSGIApplication:
        """Return the routes for the local socket: those for this host's own processes and people, too."""
        return self._inner

    @property
    def journal(self) -> Journal:
        """The journal, for the metrics."""
        return self._journal

    @property
    def received(self) -> Received:
        """What was received, for the metrics."""
        return self._receiver.received

    def beat_at(self) -> float:
        """Return when the engine last looked for something to do, Unix time, for the metrics."""
        return self._engine.beat_at

    def policy(self, name: str) -> Policy | None:
        """Return a policy in force, for the metrics."""
        return self._active.policy(name)

    def budgets(self) -> Mapping[str, Rate]:
        """Return the budgets of all policies together by their keys, for the metrics."""
        return self._active.budgets()

    def _active_names(self) -> frozenset[str]:
        return self._active.policies.names | COMMANDS.keys()

    def _health(self) -> Health:
        return Health(
            host=self._inventory.engine().name or platform.node(),
            reasons=self.reasons(),
            engine=self._engine_error(),
            outside=self._outside.error,
            heartbeat_at=self._engine.beat_at,
        )

    def _receive(self, signals: Sequence[Signal]) -> None:
        self._engine.receive(signals)

    def _wishes(self) -> Wishes:
        policies = self._active.policies
        return Wishes(policies.queries, policies.scaling, self._outside.ask, self._outside.value)

    def _web_config(self) -> WebConfig | None:
        return self._web.current().config if self._web else None

    def _world(self) -> World:
        # In this order: what is known to be complete must not be an older picture.
        error, unknown, behind = self._engine_error(), self._inventory.unknown(), self._inventory.behind()
        return self._watch.world(self._inventory.containers(), error, unknown, behind)

    def _ill(self) -> Ill:
        return Ill(self._triggers.ailing(), self._triggers.died())

    def _engine_error(self) -> str:
        try:
            complete = self._inventory.wait_complete(0)
        except EngineError as error:
            return str(error)
        link = self._inventory.link()
        if not link.up:
            return link.error
        return "" if complete else "the containers of this host are not all known yet"

    def _hear(self, event: Event) -> None:
        self._watch.hear(event)
        self._triggers.hear(event)
        self._failover.wake()
        self._engine.wake()

    def _looked(self) -> None:
        # Before all are known there is nothing to decide by.
        if self._inventory.link().up and not self._inventory.behind():
            self._engine.wake()

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._outer(environ, start_response)

    def _probe(self) -> Readiness:
        return Readiness("remediation", __version__, self._state.revision, self.listeners(), self.reasons())


def _made(folder: Path) -> Path:
    """Return a folder of this role's own, made if need be; raises StateError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(
            f"the state directory {folder.parent} cannot be used ({error.strerror})",
            remedy="make it writable for this user, or choose another with --state-dir",
        ) from error
    return folder
