"""The exporter as a role: what it holds, and how it takes a new configuration."""

from __future__ import annotations

import logging
import os
import resource
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from compose_agent import __version__
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.overview import Observer
from compose_agent.dockerd.usage import UsageReader
from compose_agent.dockerd.usage.cgroup import Mounts
from compose_agent.errors import ConfigError, EngineError, EnginePermission, EngineUnsupported, ListenError
from compose_agent.role import ConfigState
from compose_agent.tracing.settings import TracingSettings
from compose_agent.web.health import Readiness
from compose_agent.web.listeners import Listeners
from compose_agent.web.webfile import WebConfigFile
from exporter.app import make_app
from exporter.families import Scrape
from exporter.otlp.pushing import Pushing
from exporter.rows import Row
from exporter.scrape import Scraper
from exporter.selfmetrics import SelfMetrics
from exporter.settings import ExporterSettings

logger = logging.getLogger(__name__)


class ExporterRole:
    """Inventory, usage reader, scraper and listeners of the exporter."""

    def __init__(self, config: Config, state: ConfigState) -> None:
        self._state = state
        self._settings = config.of(ExporterSettings)
        self._metrics = SelfMetrics(state)
        endpoint = find_endpoint(config.of(GeneralSettings).docker_host, os.environ)
        logger.info("Engine", extra={"host": endpoint.host, "origin": endpoint.origin})
        self._client = EngineClient(endpoint, observe=self._metrics.observe_engine)
        self._inventory = Inventory(self._client)
        self._reader = self._make_reader(self._settings)
        self._scraper = self._make_scraper(self._settings, self._reader)
        self._app = self._make_app(self._settings, self._scraper, self._reader)
        self._listeners = Listeners(self._serve, self._load_web(self._settings))
        self._pushing = Pushing(config.of(TracingSettings), self._look, self._metrics.observe_push)

    def start(self) -> None:
        """Listen and look at the Engine; one that is absent is waited for in the background."""
        raise_descriptor_limit()
        self._listeners.bind(self._settings.listen_addresses)
        try:
            self._refuse_hopeless_engine()
        except BaseException:
            self._listeners.stop()
            raise
        self._inventory.start()
        self._listeners.start()
        self._pushing.change(self._settings.otlp_interval)

    def apply(self, config: Config) -> None:
        """Take new settings whole: prepare what is new, change the listeners, then swap."""
        settings = config.of(ExporterSettings)
        old, new = self._reader, self._reader
        if not same_sources(settings, self._settings):
            new = self._make_reader(settings)
        scraper = self._make_scraper(settings, new, self._scraper)
        app = self._make_app(settings, scraper, new)
        try:
            self._listeners.change(settings.listen_addresses)
        except ListenError:
            if new is not old:
                new.close()
            raise
        self._settings, self._reader, self._scraper, self._app = settings, new, scraper, app
        if new is not old:
            old.close()
        self._pushing.change(settings.otlp_interval)

    def stop(self) -> None:
        """Close the listeners, the connection to the Engine and every file."""
        self._pushing.change(0.0)
        self._inventory.stop()
        self._client.close()  # first, so that a scrape that waits for the Engine ends at once
        self._listeners.stop()
        self._reader.close()

    def listeners(self) -> tuple[str, ...]:
        """Return the URLs of the exporter."""
        return self._listeners.urls()

    def reasons(self) -> tuple[str, ...]:
        """Return why there is nothing true to scrape yet."""
        link = self._inventory.link()
        if not link.up:
            return (link.error,)
        return () if self._inventory.wait_complete(0) else ("the containers are still being inspected",)

    def routes(self) -> WSGIApplication:
        """Return the page's and the metrics' routes for the local socket: the same ones."""
        return self._serve

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def _look(self) -> tuple[Scrape, list[Row]]:
        return self._scraper.look(self._settings.scrape_timeout)

    def _probe(self) -> Readiness:
        return Readiness("exporter", __version__, self._state.revision, self.listeners(), self.reasons())

    def _make_reader(self, settings: ExporterSettings) -> UsageReader:
        mounts = Mounts(settings.procfs, settings.cgroupfs)
        return UsageReader(mounts, self._client.stats, source=settings.usage_source)

    def _make_scraper(
        self, settings: ExporterSettings, reader: UsageReader, before: Scraper | None = None
    ) -> Scraper:
        local = self._client.endpoint.socket_path is not None
        return Scraper(self._inventory, reader, settings, before, local=local)

    def _make_app(self, settings: ExporterSettings, scraper: Scraper, reader: UsageReader) -> WSGIApplication:
        # The host's files are those of this machine; an Engine elsewhere has a host of its own.
        procfs = settings.procfs if self._client.endpoint.socket_path else None
        observer = Observer(self._inventory, reader, procfs)
        return make_app(scraper, self._metrics, settings, self._probe, observer)

    def _load_web(self, settings: ExporterSettings) -> WebConfigFile | None:
        return (
            WebConfigFile(settings.web_config_file, self._web_reloaded) if settings.web_config_file else None
        )

    def _web_reloaded(self, error: ConfigError | None) -> None:
        self._metrics.web_reload.set(int(error is None))

    def _refuse_hopeless_engine(self) -> None:
        """Raise what waiting will not mend: no permission on the socket, no API version in common."""
        try:
            self._client.negotiate()
        except (EnginePermission, EngineUnsupported):
            raise
        except EngineError as error:
            logger.warning("no Engine yet; waiting for it", extra={"error": str(error)})


def same_sources(a: ExporterSettings, b: ExporterSettings) -> bool:
    """Tell whether both read usage from the same places, so that open files stay open."""
    return (a.procfs, a.cgroupfs, a.usage_source) == (b.procfs, b.cgroupfs, b.usage_source)


def raise_descriptor_limit() -> None:
    """Allow this process as many open files as the host does: each running container takes up to ten."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
