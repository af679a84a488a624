"""Several processes that share the containers of one host, seen from outside as one forwarder.

Each is a fresh interpreter with the same role and a share of the containers, decided by their ids. They share
the state directory: the database and the dead letters take writers from several processes, and of the spool
each has a part. The lock on it is inherited, so that it is free only when the last of them has ended, also
when this process was killed and they are still delivering what they had read.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from compose_agent import __version__
from compose_agent.config import Config
from compose_agent.config.general import GeneralSettings
from compose_agent.errors import ComposeAgentError
from compose_agent.role import ConfigState, share_name
from compose_agent.selfmetrics import add_program, exposition, new_registry
from compose_agent.units import START_SECONDS, STOP_SECONDS, ProcessUnit, hand_out, stop_all
from compose_agent.web.health import Readiness
from compose_agent.web.listeners import Listeners
from compose_agent.web.localclient import LocalClient
from compose_agent.web.webfile import WebConfigFile
from log_forwarder.app import make_app
from log_forwarder.deadletters import FILE_NAME
from log_forwarder.joined import joined_text
from log_forwarder.metrics import add_dead_letters
from log_forwarder.settings import ForwarderSettings
from log_forwarder.share import Share
from log_forwarder.store import Store

logger = logging.getLogger(__name__)

ROLE = "logs"
_LOOK_SECONDS = 0.2
# They answer from memory.
_ANSWER_SECONDS = 2.0
# Who supervises this process gives it no longer, and then nobody would be left to end its own.
_STOP_SECONDS = STOP_SECONDS - 2
# Those of a forwarder that was killed deliver what they have read, and then let go of the state.
_LOCK_PATIENCE_SECONDS = STOP_SECONDS + 2


class WorkersRole:
    """Starts the processes, keeps them running, and answers for all of them."""

    def __init__(self, config: Config, state: ConfigState) -> None:
        settings, general = config.of(ForwarderSettings), config.of(GeneralSettings)
        self._state = state
        self._config = config
        self._store = Store(general.state_dir(), patience=_LOCK_PATIENCE_SECONDS)
        shares = [Share(index, settings.workers) for index in range(settings.workers)]
        self._units = [
            ProcessUnit(
                ROLE,
                state.revision,
                config,
                name=share_name(ROLE, str(share)),
                share=str(share),
                inherited=[self._store.lock],
                stop_seconds=_STOP_SECONDS,
            )
            for share in shares
        ]
        self._clients = {
            str(share.index): LocalClient(general.run_dir(), share_name(ROLE, str(share)), _ANSWER_SECONDS)
            for share in shares
        }
        self._own_metrics = new_registry()
        add_program(self._own_metrics, "log_forwarder", "forwarder", state)
        add_dead_letters(self._own_metrics, general.state_dir() / FILE_NAME)
        self._app = make_app(self._metrics, self._positions, self._probe)
        web = WebConfigFile(settings.web_config_file) if settings.web_config_file else None
        self._listeners = Listeners(self._serve, web)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, name="look at workers", daemon=True)

    def start(self) -> None:
        """Start every process and wait until all answer; raises ComposeAgentError when one cannot run."""
        self._listeners.bind(self._config.of(ForwarderSettings).listen_addresses)
        try:
            for unit in self._units:
                unit.start()
            self._wait_for_all()
        except BaseException:
            stop_all(self._units)
            self._listeners.stop()
            self._store.close()
            raise
        self._thread.start()
        self._listeners.start()

    def apply(self, config: Config) -> None:
        """Have every process take a configuration, or none."""
        before = self._config
        self._listeners.change(config.of(ForwarderSettings).listen_addresses)
        revision = self._state.revision
        try:
            hand_out(self._units, revision + 1, config, (revision, before))
        except ComposeAgentError:
            self._listeners.change(before.of(ForwarderSettings).listen_addresses)
            raise
        self._config = config

    def stop(self) -> None:
        """Have every process deliver what it has read, within bounds."""
        self._stop.set()
        self._thread.join()
        stop_all(self._units)
        self._listeners.stop()
        self._store.close()

    def listeners(self) -> tuple[str, ...]:
        """Return the URLs of the forwarder."""
        return self._listeners.urls()

    def reasons(self) -> tuple[str, ...]:
        """Return why lines do not arrive, in any of the processes."""
        found: dict[str, None] = {}
        for unit in self._units:
            readiness = unit.readiness()
            silent = (f"the process {unit.name} does not answer",)
            found.update(dict.fromkeys(silent if readiness is None else readiness.reasons))
        return tuple(found)

    def routes(self) -> WSGIApplication:
        """Return the routes for the local socket: the same ones."""
        return self._serve

    def _wait_for_all(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not all(unit.readiness() for unit in self._units):
            for unit in self._units:
                unit.look()
            if time.monotonic() > deadline:
                raise ComposeAgentError(
                    f"the processes of the log forwarder do not answer ({'; '.join(self.reasons())})",
                    remedy="see their messages above; fewer workers start faster",
                )
            time.sleep(_LOOK_SECONDS)

    def _look(self) -> None:
        while not self._stop.wait(_LOOK_SECONDS):
            for unit in self._units:
                try:
                    unit.look()
                except Exception:  # the others are to be looked at, whatever became of this one
                    logger.exception("fault in looking at a worker", extra={"worker": unit.name})

    def _metrics(self, *, openmetrics: bool) -> bytes:
        texts = {"": exposition(self._own_metrics, openmetrics=False).decode()}
        for worker, client in self._clients.items():
            with suppress(ComposeAgentError):  # it is being started; readiness says so
                status, body = client.request("GET", "/metrics")
                if status == 200:
                    texts[worker] = body.decode()
        return joined_text(texts, openmetrics=openmetrics)

    def _positions(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for client in self._clients.values():
            with suppress(ComposeAgentError):  # as above
                rows += client.get_json("/v1/positions")
        return rows

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def _probe(self) -> Readiness:
        return Readiness(ROLE, __version__, self._state.revision, self.listeners(), self.reasons())
