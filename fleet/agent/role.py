"""The agent's link as a role."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from wsgiref.types import WSGIApplication, WSGIEnvironment

from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.config.remote import RemoteStore
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.inventory import Inventory
from compose_agent.errors import ComposeAgentError, StateError
from compose_agent.role import ConfigState
from compose_agent.web.localclient import LocalClient
from compose_agent.web.response import Response, routed
from fleet.agent import report as reporting
from fleet.agent.alerts import AlertTaker
from fleet.agent.check import check
from fleet.agent.commands.part import Commands
from fleet.agent.commands.verbs.registry import verbs_of
from fleet.agent.configs import Keeper
from fleet.agent.conversation import Conversation
from fleet.agent.credentials import CredentialFile, Credentials
from fleet.agent.custom import Custom
from fleet.agent.database import agent_database
from fleet.agent.facts import FactsReader
from fleet.agent.host import HostTeller
from fleet.agent.identity import Identity
from fleet.agent.link import Link, Parts, Trial
from fleet.agent.path import look_up_promptly
from fleet.agent.polling import PollingTransport
from fleet.agent.proof import Proofs
from fleet.agent.redaction import effective
from fleet.agent.relay import Relay
from fleet.agent.report import Report
from fleet.agent.roles import RolesReader
from fleet.agent.settings import AgentSettings
from fleet.agent.transport import LinkError, Transport
from fleet.agent.watchdog import Watchdog
from fleet.agent.websocket import WebSocketTransport
from fleet.envelopes import alert as alerting
from fleet.envelopes import host as telling
from fleet.envelopes import relay as relaying
from fleet.opamp.opamp_pb2 import AgentToServer, CustomMessage, ServerToAgent
from fleet.opamp.uid import uid_text

logger = logging.getLogger(__name__)

NAME = "agent"
SUPERVISOR = "supervisor"
# A role that is being started, one that closes a listener, and then all of them going back.
_RELOAD_SECONDS = 120.0
LINK = "/v1/link"
# The Engine's events tell what changes; an Engine that hangs is for the exporter to notice within seconds.
_PING_SECONDS = 15.0


class AgentRole:
    """Identity, reporter, link and its watchdog; ``names`` gives the roles that a configuration runs."""

    def __init__(self, config: Config, state: ConfigState, names: Callable[[Config], Sequence[str]]) -> None:
        look_up_promptly(os.environ)
        general = config.of(GeneralSettings)
        self._config = config
        self._settings = settings = config.of(AgentSettings)
        self._names = names
        self._interval = settings.interval
        self._started = time.time()
        self._local_address = ""
        self._identity = Identity(general.state_dir())
        self._engine = EngineClient(find_endpoint(general.docker_host, os.environ))
        self._facts = FactsReader(self._engine)
        self._roles = RolesReader(general.run_dir(), self._peers)
        self._credentials = Credentials(
            CredentialFile(general.state_dir()),
            lambda: self._identity.uid,
            lambda: self._settings.manager_url or "",
        )
        self._proofs = Proofs(settings, self._credentials)
        supervisor = LocalClient(general.run_dir(), SUPERVISOR, _RELOAD_SECONDS)
        self._keeper = Keeper(
            RemoteStore(general.state_dir()), supervisor.reload, lambda: self._settings.remote_timeout
        )
        self._custom = Custom(self._post)
        self._relay = Relay(self._custom.send, general.run_dir(), self._peers)
        self._custom.register(relaying.CAPABILITY, self._relay)
        self._alerts = AlertTaker(self._custom.send, general.run_dir())
        self._custom.register(alerting.CAPABILITY, self._alerts)
        self._host = HostTeller(
            self._custom.send,
            Inventory(self._engine, heartbeat_seconds=_PING_SECONDS),
            run_dir=general.run_dir(),
            roles=self._peers,
            interval=lambda: self._interval,
        )
        self._custom.register(telling.CAPABILITY, self._host)
        self._database = agent_database(general.state_dir())
        verbs = verbs_of(self._engine, general.run_dir(), self._runs)
        self._commands = Commands(self._database, self._custom, verbs, self._allowed_commands)
        self._watchdog = Watchdog(self._link)

    def start(self) -> None:
        """Begin to connect; a manager that is away is waited for in the background."""
        try:
            self._commands.start()
        except ComposeAgentError:
            self._close()  # whoever tries again finds it free
            raise
        self._keeper.start()
        self._host.start()
        self._alerts.start()
        self._watchdog.start()

    def apply(self, config: Config) -> None:
        """Tell the manager of the new configuration; one with another manager has the link made anew."""
        settings = config.of(AgentSettings)
        check(settings)
        before, self._settings, self._config = self._settings, settings, config
        if settings.interval != before.interval:
            self._interval = settings.interval
        if _way(settings) != _way(before):
            self._proofs = Proofs(settings, self._credentials)
            self._watchdog.renew()

    def stop(self) -> None:
        """Say goodbye and end."""
        self._commands.stop()
        self._keeper.stop()
        self._watchdog.stop()
        self._relay.stop()
        self._host.stop()
        self._alerts.stop()
        self._close()

    def _close(self) -> None:
        self._engine.close()
        self._database.close()

    def listeners(self) -> tuple[str, ...]:
        """Return nothing: the agent connects, nobody connects to it."""
        return ()

    def reasons(self) -> tuple[str, ...]:
        """Return nothing: a host does its work without its manager, and says at /v1/link how that stands."""
        return ()

    def routes(self) -> WSGIApplication:
        """Return the route that tells how the link stands."""
        return routed({LINK: {"GET": self._status}})

    def _status(self, _environ: WSGIEnvironment) -> Response:
        link = asdict(self._watchdog.link.status)
        own = {
            "manager": self._settings.manager_url,
            "uid": uid_text(self._identity.uid),
            "interval": self._interval,
            "credential_expires_at": self._credentials.expires_at(),
        }
        return Response.json(200, own | link | {"rebuilt": self._watchdog.rebuilt})

    def _peers(self) -> list[str]:
        return [name for name in self._names(self._config) if name != NAME]

    def _runs(self, role: str) -> bool:
        return role in self._names(self._config)

    def _allowed_commands(self) -> tuple[str, ...]:
        return self._config.of(AgentSettings).commands

    def _link(self) -> Link:
        parts = Parts(
            websocket=lambda: WebSocketTransport(self._proofs.target()),
            polling=lambda: PollingTransport(self._proofs.target()),
            converse=self._converse,
            begin=self._begin,
            interval=lambda: self._interval,
            set_interval=self._set_interval,
            heard=self._heard,
            refused=self._refused,
            trial=self._trial,
            is_urgent=self._credentials.is_urgent,
        )
        return Link(parts, polls_only=self._proofs.polls)

    def _heard(self, reply: ServerToAgent) -> None:
        self._credentials.heard(reply)
        self._custom.heard(reply)

    def _refused(self) -> None:
        self._proofs.refused()

    def _trial(self) -> Trial | None:
        candidate = self._credentials.candidate()
        return self._proofs.trial(candidate) if candidate else None

    def _post(self, message: CustomMessage) -> bool:
        return self._watchdog.link.post(message)

    def _converse(self, number: int) -> Conversation:
        remote = self._keeper if self._settings.accepts_remote else None
        return Conversation(self._identity, self._report, number, remote)

    def _begin(self, transport: Transport) -> None:
        self._local_address = transport.local_address

    def _set_interval(self, seconds: float) -> None:
        logger.info("the manager sets the heartbeat", extra={"seconds": seconds})
        self._interval = seconds

    def _report(self) -> AgentToServer:
        facts = self._facts.read()
        try:
            copied = self._identity.bind(facts.engine_id)
        except StateError as error:  # the uid in memory is right; it is written when the disk has room
            logger.warning("the agent's uid is not on disk", extra={"error": str(error)})
            copied = False
        if copied:
            # What the connection was made with is another host's.
            raise LinkError("this host is a copy of another one, and connects anew as itself")
        given = {key: each.value for key, each in self._config.given.items()}
        message = reporting.parts(
            Report(
                uid=self._identity.uid,
                settings=self._settings,
                facts=facts,
                roles=self._roles.read(),
                config=effective(given),
                interval=self._interval,
                started=self._started,
                local_address=self._local_address,
            )
        )
        self._credentials.ask(message)
        message.custom_capabilities.CopyFrom(self._custom.capabilities())
        return message


def _way(settings: AgentSettings) -> tuple[object, ...]:
    """Return how the manager is reached, and with what the agent comes there."""
    return settings.manager_url, settings.token_file, settings.ca_file, settings.insecure
