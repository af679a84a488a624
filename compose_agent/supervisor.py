"""The supervisor of ``run``: keeps units running and hands out configurations, to all of them or to none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from compose_agent import __version__
from compose_agent.config import Config, Schema
from compose_agent.config.general import GeneralSettings
from compose_agent.config.restart import keep_until_restart
from compose_agent.errors import ConfigError
from compose_agent.runner import reconfigure_logs, warn_of_restart
from compose_agent.units import Unit, hand_out, stop_all
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server

logger = logging.getLogger(__name__)

NAME = "supervisor"
# How often processes are looked at.
_LOOK_SECONDS = 0.2


class Supervisor:
    """Runs ``units`` and serves the local interface of the whole at ``RUN_DIR/supervisor.sock``.

    ``load`` reads the configuration anew and raises ConfigError for all that can be known without applying.
    """

    def __init__(
        self, units: Sequence[Unit], schema: Schema, config: Config, load: Callable[[], Config]
    ) -> None:
        self._units = units
        self._schema = schema
        self._config = config
        self._load = load
        self._revision = 1
        self._lock = threading.Lock()
        self._started = threading.Event()
        run_dir = config.of(GeneralSettings).run_dir()
        self._local = local_server(run_dir, NAME, self.readiness, lambda _body: self.reload())

    def run(self, stop: threading.Event, announce: Callable[[list[Readiness]], None]) -> None:
        """Run until ``stop`` is set; ``announce`` is called once, when every role answers.

        Raises InstanceRunning when another supervisor has this run directory, RoleFailed for a role that
        cannot run, and whatever a unit's start raises.
        """
        self._local.bind()
        try:
            for unit in self._units:
                unit.start()
            self._local.start()
            self._started.set()
            self._look_until(stop, announce)
        finally:
            self._local.stop()
            stop_all(self._units)

    def _look_until(self, stop: threading.Event, announce: Callable[[list[Readiness]], None]) -> None:
        announced = False
        while not stop.wait(_LOOK_SECONDS):
            for unit in self._units:
                unit.look()
            if not announced:
                states = [unit.readiness() for unit in self._units]
                found = [state for state in states if state is not None]
                announced = len(found) == len(states)
                if announced:
                    announce(found)

    def readiness(self) -> Readiness:
        """Return what the supervisor says of itself: ready when every role answers."""
        silent = [unit.name for unit in self._units if unit.readiness() is None]
        reasons = tuple(f"the role {name} does not answer" for name in silent)
        return Readiness(NAME, __version__, self._revision, reasons=reasons)

    def reload(self) -> int:
        """Validate the configuration whole, apply it everywhere, and take it back if one role refuses.

        Returns the revision in force; waits while the roles are being started. Raises ConfigError.
        """
        self._started.wait()
        with self._lock:
            try:
                config, held = keep_until_restart(self._schema, self._config, self._load())
                revision = self._config.successor(self._revision, config)
                hand_out(self._units, revision, config, (self._revision, self._config))
            except ConfigError as error:
                for unit in self._units:
                    unit.refuse(error)
                raise
            warn_of_restart(held)
            reconfigure_logs(self._config, config, NAME)
            self._revision, self._config = revision, config
            return self._revision
