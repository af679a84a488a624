"""Where ``status`` takes its overview from: the running exporter, else the Engine itself."""

from __future__ import annotations

import os

import click

from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.overview import Observer, Overview
from compose_agent.dockerd.overview.wire import from_json
from compose_agent.dockerd.usage import UsageReader
from compose_agent.dockerd.usage.cgroup import Mounts
from compose_agent.errors import ComposeAgentError, EngineTimeout, EngineUnreachable
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from exporter.settings import ExporterSettings

PATH = "/v1/containers"
# Longer than two readings through the stats API of an old Engine take.
EXPORTER_SECONDS = 10.0
# Thousands of containers are inspected in this time; what is missing by then is said to be.
INSPECT_SECONDS = 10.0


class Source:
    """Gives overviews. Without an exporter the connection to the Engine is kept until ``close``."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._exporter = LocalClient(config.of(GeneralSettings).run_dir(), "exporter", EXPORTER_SECONDS)
        self._engine: _Engine | None = None
        self._said = ""

    def read(self) -> Overview:
        """Return the overview; ComposeAgentError when neither exporter nor Engine gives one.

        An Engine that is named on the command line is asked itself: the exporter's may be another.
        """
        named = self._config.given.get("docker.host")
        if named and named.where.startswith("--"):
            return self._from_engine("an Engine was named")
        try:
            return from_json(self._exporter.get_json(PATH))
        except RoleNotRunning:
            missing = "no exporter is running"
        except ComposeAgentError as error:
            missing = error.message
            self._say_once(f"{error}; asking the Engine itself")
        return self._from_engine(missing)

    def close(self) -> None:
        """Close the connection to the Engine, if there is one."""
        if self._engine:
            self._engine.close()

    def _from_engine(self, missing: str) -> Overview:
        try:
            if self._engine is None:
                self._engine = _Engine(self._config)
        except (EngineUnreachable, EngineTimeout) as error:
            raise ComposeAgentError(f"{missing}, and {error.message}", remedy=error.remedy) from error
        return self._engine.observer.overview()

    def _say_once(self, sentence: str) -> None:
        if sentence != self._said:
            click.echo(f"compose-agent: {sentence}", err=True)
        self._said = sentence


class _Engine:
    """What the exporter holds, in this process: raises an EngineError when the Engine does not answer."""

    def __init__(self, config: Config) -> None:
        settings = config.of(ExporterSettings)
        endpoint = find_endpoint(config.of(GeneralSettings).docker_host, os.environ)
        self._client = EngineClient(endpoint)
        self._client.negotiate()
        self._inventory = Inventory(self._client)
        self._inventory.start()
        self._inventory.wait_complete(INSPECT_SECONDS)
        mounts = Mounts(settings.procfs, settings.cgroupfs)
        self._reader = UsageReader(mounts, self._client.stats, source=settings.usage_source)
        procfs = settings.procfs if endpoint.socket_path else None
        self.observer = Observer(self._inventory, self._reader, procfs)

    def close(self) -> None:
        self._inventory.stop()
        self._reader.close()
        self._client.close()
