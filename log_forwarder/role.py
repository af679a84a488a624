"""The log forwarder as a role: what it holds, and how it takes a new configuration."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from compose_agent import __version__
from compose_agent.address import Address
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.declared import declared_by, labelled
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.dockerd.folders.contract import FoldersUnreadable
from compose_agent.dockerd.folders.watch import FolderWatch
from compose_agent.dockerd.inventory import Inventory
from compose_agent.dockerd.model import Container
from compose_agent.role import ConfigState
from compose_agent.web.health import Readiness
from compose_agent.web.listeners import Listeners
from compose_agent.web.webfile import WebConfigFile
from log_forwarder.app import make_app
from log_forwarder.deadletters import DeadLetters
from log_forwarder.engine import EngineLogs, docker_root
from log_forwarder.files import LogFiles
from log_forwarder.followed import has_files
from log_forwarder.keeper import Keeper, SinkBooks
from log_forwarder.lane import Lane
from log_forwarder.latency import Latency
from log_forwarder.metrics import ForwarderMetrics
from log_forwarder.outbox import Outbox
from log_forwarder.selection import Selection, SelectionSettings, own_container_id
from log_forwarder.settings import ForwarderSettings
from log_forwarder.share import Share
from log_forwarder.sinks import make_sink
from log_forwarder.sinks.contract import Sink, SinkContext
from log_forwarder.sinks.word import SinkWord
from log_forwarder.spool import Spool
from log_forwarder.store import Store
from log_forwarder.traces import Deliveries
from log_forwarder.transforms import Counters, Pipeline, TransformSettings, make_pipeline

logger = logging.getLogger(__name__)

# Who asked for the reload waits for its end; a sink that confirms nothing meanwhile may get lines twice.
_RELOAD_DRAIN_SECONDS = 2.0
DEFAULT_DOCKER_ROOT = Path("/var/lib/docker")
_WHOLE = Share()


class ForwarderRole:
    """Folder watch, log files, a lane for each sink, and the listeners of the forwarder.

    One of several processes has a ``share`` of the containers, and no listeners but the local one.
    """

    def __init__(self, config: Config, state: ConfigState, share: Share = _WHOLE) -> None:
        self._state = state
        self._share = share
        self._settings = config.of(ForwarderSettings)
        self._transforms = config.of(TransformSettings)
        general = config.of(GeneralSettings)
        self._state_dir, self._run_dir = general.state_dir(), general.run_dir()
        self._store = Store(self._state_dir, locked=not share.is_whole)
        self._letters = DeadLetters(self._state_dir, self._settings.dead_letters_size)
        self._keeper = Keeper(self._store)
        self._spool = Spool(self._store, share.of(self._settings.spool_size), share.has)
        self._selection = self._select(self._settings)
        self._files = LogFiles(
            self._store,
            self._keeper,
            self._spool,
            self._reason_against,
            self._begins_now,
            without_files=self._needs_engine,
            mine=share.has,
        )
        self._folders_unreadable = ""
        self._declared = declared_by(general)
        self._declared_revision = 0
        client = None
        if self._settings.engine:
            client = EngineClient(find_endpoint(general.docker_host, os.environ))
        self._client = client
        self._engine = self._engine_logs(client) if client else None
        root = docker_root(self._settings.docker_root, client, DEFAULT_DOCKER_ROOT)
        self._watch = FolderWatch(root, self._files)
        self._lanes: dict[str, tuple[Lane, Latency]] = {}
        self._metrics = ForwarderMetrics(state, self)
        app = make_app(self._metrics.text, self._positions, self._probe)
        self._app = app
        self._listeners = Listeners(self._serve, self._load_web(self._settings))

    def start(self) -> None:
        """Listen, open the logs there are, and begin to ship them."""
        self._listeners.bind(self._addresses(self._settings))
        try:
            self._set_lanes(self._settings.sinks, self._make_sinks(self._settings))
            self._watch_folders()
        except BaseException:
            self._listeners.stop()
            raise
        self._keeper.start()
        self._listeners.start()

    def apply(self, config: Config) -> None:
        """Take new settings whole: make what is new, change the listeners, then swap.

        Raises ConfigError for settings, and StateError while positions cannot be read; both change nothing.
        """
        settings = config.of(ForwarderSettings)
        for word in settings.sinks:
            self._keeper.positions(word.name)
        triggers_changed = settings.triggers != self._settings.triggers
        declared, self._declared_revision = self._declared_revision, self._declared.look()
        declares_other = declared != self._declared_revision
        anew = triggers_changed or declares_other or config.of(TransformSettings) != self._transforms
        sinks = self._make_sinks(settings, anew=anew)
        selection = self._select(settings)
        self._listeners.change(self._addresses(settings))
        self._settings, self._transforms = settings, config.of(TransformSettings)
        self._selection = selection
        self._letters.limit = settings.dead_letters_size
        self._files.reconsider()
        if self._engine:
            self._engine.reconsider()
        self._set_lanes(settings.sinks, sinks)

    def stop(self) -> None:
        """Deliver what is read, within bounds, and write down how far it went."""
        if self._engine:
            self._engine.stop()
        if not self._folders_unreadable:
            self._watch.stop()
            self._files.stop()
        self._stop_lanes([lane for lane, _ in self._lanes.values()], self._settings.drain_timeout)
        self._keeper.stop()
        self._files.close()
        if self._client:
            self._client.close()
        self._listeners.stop()
        self._store.close()

    def listeners(self) -> tuple[str, ...]:
        """Return the URLs of the forwarder."""
        return self._listeners.urls()

    def reasons(self) -> tuple[str, ...]:
        """Return why lines do not arrive."""
        found = [
            self._engine.error() if self._engine and self._folders_unreadable else self._watch.error,
            self._store.error,
            self._letters.error,
            self._spool.error,
            *self._files.errors(),
        ]
        for lane, _ in self._lanes.values():
            found += sorted(set(lane.errors.values()))
            found.append(self._stall_of(lane))
        return tuple(each for each in found if each)

    def routes(self) -> WSGIApplication:
        """Return the routes for the local socket: the same ones."""
        return self._serve

    def lanes(self) -> Sequence[tuple[Lane, Latency]]:
        """Return the lanes, for the metrics."""
        return list(self._lanes.values())

    def followed(self) -> int:
        """Return how many logs are followed."""
        return self._files.count() + (self._engine.count() if self._engine else 0)

    def spool(self) -> Spool:
        """Return the copies of what Docker removed, for the metrics."""
        return self._spool

    def dead_letters(self) -> Path | None:
        """Return the file of dead letters, for the metrics; of several processes their parent tells of it."""
        return self._letters.path if self._share.is_whole else None

    def _stall_of(self, lane: Lane) -> str:
        oldest = max((each.oldest_seconds for each in lane.standings()), default=0.0)
        silent = time.monotonic() - lane.health.last_success
        if min(oldest, silent) <= self._settings.stall_after:
            return ""
        why = lane.health.error or "no confirmation"
        return f"sink {lane.name} has taken nothing for {silent:.0f} s: {why}"

    def _make_sinks(self, settings: ForwarderSettings, *, anew: bool = False) -> dict[str, Sink]:
        """Return the sinks that there is no lane for yet, or all ``anew``, by word; raises ConfigError."""
        host = socket.gethostname()

        def make(word: SinkWord) -> Sink:
            context = SinkContext(
                word.name,
                host,
                self._state_dir,
                self._run_dir,
                settings.triggers or {},
                self._share,
                settings.queue_size,
            )
            return make_sink(word, context)

        return {word.text: make(word) for word in settings.sinks if anew or word.text not in self._lanes}

    def _set_lanes(self, words: Sequence[SinkWord], sinks: Mapping[str, Sink]) -> None:
        """Have a lane for each word: stop those that are gone, keep what stays, start what is new."""
        kept = {word.text for word in words} - set(sinks)
        gone = [lane for text, (lane, _) in self._lanes.items() if text not in kept]
        self._stop_lanes(gone, min(self._settings.drain_timeout, _RELOAD_DRAIN_SECONDS))
        # Only now: a lane that takes the place of another goes on where that one ended.
        fresh = {word.text: self._make_lane(word, sinks[word.text]) for word in words if word.text in sinks}
        self._lanes = {word.text: fresh.get(word.text) or self._lanes[word.text] for word in words}
        for lane, _ in fresh.values():
            lane.start()
        lanes = [lane for lane, _ in self._lanes.values()]
        self._files.set_lanes(lanes)
        if self._engine:
            self._engine.set_lanes(lanes)

    def _make_lane(self, word: SinkWord, sink: Sink) -> tuple[Lane, Latency]:
        latency = Latency()
        observe = Deliveries(word.name, latency).observe
        outbox = Outbox(self._settings.queue_size, lossy=not word.required, observe=observe)
        books = SinkBooks(word.name, self._keeper)
        lane = Lane(word.name, sink, outbox, books=books, pipelines=self._pipeline, letters=self._letters)
        return lane, latency

    def _pipeline(self, container: Container, outbox: Outbox) -> Pipeline:
        counters = Counters(outbox.drop, outbox.note_redacted, outbox.note_failed)
        asking = labelled(container, self._declared)
        pipeline, problems = make_pipeline(self._transforms, asking, counters)
        for problem in problems:
            logger.warning("a label is not used", extra={"problem": problem})
        return pipeline

    def _stop_lanes(self, lanes: Sequence[Lane], drain_seconds: float) -> None:
        deadline = time.monotonic() + drain_seconds
        for lane in lanes:
            lane.stop(max(0.0, deadline - time.monotonic()))

    def _engine_logs(self, client: EngineClient) -> EngineLogs:
        return EngineLogs(
            Inventory(client, declared=self._declared),
            client,
            self._keeper,
            needs_api=self._needs_api,
            reason_against=self._reason_against,
            begins_now=self._begins_now,
        )

    def _needs_api(self, container: Container) -> bool:
        readable = not self._folders_unreadable and has_files(container)
        return not readable and self._share.has(container.id)

    def _needs_engine(self, container: Container) -> None:
        """Hear of a container whose log is in no file."""
        if self._engine:
            self._engine.begin()
        else:
            logger.warning("not shipped: its log is in no file", extra={"container": container.name})

    def _watch_folders(self) -> None:
        """Read Docker's folders, or all logs by the Engine's API where they cannot be read."""
        try:
            self._watch.start()
        except FoldersUnreadable as error:
            if not self._engine:
                raise
            self._folders_unreadable = str(error)
            logger.warning("all logs are read by the Engine's API", extra={"reason": str(error)})
            self._engine.begin()
        else:
            self._files.start()

    def _select(self, settings: ForwarderSettings) -> Selection:
        chosen = SelectionSettings(settings.containers, settings.exclude, settings.projects)
        sinks = tuple(address for word in settings.sinks for address in word.hosts)
        return Selection(chosen, own_container_id(), sinks)

    def _reason_against(self, container: Container) -> str | None:
        self._selection = self._selection.knowing(container)
        return self._selection.reason_against(labelled(container, self._declared))

    def _begins_now(self, container: Container) -> bool:
        """Tell whether a container without a position is read from now on only."""
        if self._settings.begin != "auto":
            return self._settings.begin == "now"
        # Of one that is not known well enough nothing must be left out.
        return container.created_at is not None and container.created_at < self._store.born

    def _positions(self) -> list[dict[str, Any]]:
        return [
            {
                "sink": lane.name,
                "container_id": each.container.id,
                "container": each.container.name,
                "behind_bytes": each.behind_bytes,
                "behind_seconds": round(each.behind_seconds, 3),
                "batches_on_their_way": each.unsettled,
                "oldest_unconfirmed_seconds": round(each.oldest_seconds, 3),
            }
            for lane, _ in self._lanes.values()
            for each in lane.standings()
        ]

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def _probe(self) -> Readiness:
        return Readiness("logs", __version__, self._state.revision, self.listeners(), self.reasons())

    def _addresses(self, settings: ForwarderSettings) -> tuple[Address, ...]:
        return settings.listen_addresses if self._share.is_whole else ()

    def _load_web(self, settings: ForwarderSettings) -> WebConfigFile | None:
        return WebConfigFile(settings.web_config_file) if settings.web_config_file else None
