"""Running one role in this process: its local interface, its configuration, its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.context import get_current

from compose_agent import __version__, log
from compose_agent.config import Config, Schema
from compose_agent.config.general import GeneralSettings
from compose_agent.config.restart import keep_until_restart
from compose_agent.config.wire import decode_revision
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.memory import share_one_heap
from compose_agent.role import ConfigState, RoleSpec
from compose_agent.tracing import attributes, pipeline, tracer
from compose_agent.tracing.context import always
from compose_agent.tracing.pipeline import Pipeline
from compose_agent.tracing.settings import TracingSettings
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server

logger = logging.getLogger(__name__)

# Of the time that the end may take: for the interpreter, which has to end too.
_MARGIN_SECONDS = 0.5
_tracer = tracer(__name__)


class Runner:
    """A role with its local socket.

    ``load`` reads the configuration anew; a supervised role has none, because its supervisor sends each
    revision over the local socket. Without ``owns_process`` the process's log is somebody else's to set up.
    """

    def __init__(
        self,
        spec: RoleSpec,
        schema: Schema,
        config: Config,
        load: Callable[[], Config] | None = None,
        revision: int = 1,
        *,
        owns_process: bool = True,
    ) -> None:
        share_one_heap()
        self._owns_process = owns_process
        self._spec = spec
        self._schema = schema
        self._config = config
        self._load = load
        self._state = ConfigState()
        self._state.applied(revision)
        self._lock = threading.Lock()
        self._started = False
        self._traces: Pipeline | None = None
        self._role = spec.make(config, self._state)
        run_dir = config.of(GeneralSettings).run_dir()
        self._local = local_server(run_dir, spec.name, self.readiness, self._reload_from, self._role.routes())

    def start(self) -> None:
        """Start the role; raises ComposeAgentError, and leaves nothing behind, when it cannot."""
        self._local.bind()  # first, so that a second instance is refused before it does anything
        try:
            self._traces = start_traces(self._config, self._spec.name) if self._owns_process else None
            self._role.start()
        except BaseException:
            self._local.stop()
            self._stop_traces(0.0)
            raise
        self._started = True
        self._local.start()

    def stop(self) -> None:
        """Stop the role, then its local interface; nothing to do for one that did not start."""
        if not self._started:
            return
        self._started = False
        began = time.monotonic()
        try:
            self._role.stop()
        finally:
            self._local.stop()
            self._stop_traces(time.monotonic() - began)

    def _stop_traces(self, spent: float) -> None:
        """Export what there is time for, of which some seconds are spent already."""
        if self._traces:
            whole = self._config.of(TracingSettings).shutdown_timeout
            self._traces.stop(max(0.0, whole - spent - _MARGIN_SECONDS))
            self._traces = None

    def readiness(self) -> Readiness:
        """Return what the role says of itself."""
        return Readiness(
            role=self._spec.name,
            version=__version__,
            revision=self._state.revision,
            listeners=self._role.listeners(),
            reasons=self._role.reasons(),
        )

    def reload(self) -> int:
        """Read the configuration anew and apply it; return the revision in force. Raises ConfigError."""
        if self._load is None:
            what = "is supervised: reload its supervisor, with SIGHUP or at supervisor.sock"
            raise ConfigError(Problem(self._spec.name, what))
        with self._lock:
            try:
                config, held = keep_until_restart(self._schema, self._config, self._load())
            except ConfigError:
                self._state.refused()
                raise
            warn_of_restart(held)
            return self._take(self._config.successor(self._state.revision, config), config)

    def apply(self, revision: int, config: Config) -> int:
        """Take a configuration whole and return its revision; ConfigError when the role cannot, unchanged."""
        with self._lock:
            return self._take(revision, config)

    def refuse(self) -> None:
        """Note that somebody else refused the newest configuration, so that this role's metrics say so."""
        self._state.refused()

    def _take(self, revision: int, config: Config) -> int:
        with _tracer.start_as_current_span("config reload", always(get_current())) as span:
            span.set_attribute(attributes.CONFIG_REVISION, revision)
            try:
                self._role.apply(config)
            except ConfigError:
                self._state.refused()
                raise
            except ComposeAgentError as error:
                self._state.refused()
                raise ConfigError(Problem(self._spec.name, str(error))) from error
        if self._owns_process:
            reconfigure_logs(self._config, config, self._spec.name)
        self._config = config
        self._state.applied(revision)
        logger.info("configuration applied", extra={"role": self._spec.name, "revision": revision})
        return revision

    def _reload_from(self, body: bytes) -> int:
        if not body:
            return self.reload()
        try:
            revision, config = decode_revision(body, self._schema)
        except ConfigError:
            self._state.refused()
            raise
        return self.apply(revision, config)


def start_traces(config: Config, process: str) -> Pipeline | None:
    """Begin to trace what this process does, if it is to; ``process`` is the role it runs."""
    return pipeline.start(process, config.of(TracingSettings), config.of(GeneralSettings).state_dir())


def configure_logs(config: Config, process: str) -> None:
    """Set level, format and copies of this process's logs; ``process`` is the role it runs."""
    general = config.of(GeneralSettings)
    copies = _copies(general, process)
    log.setup(general.log_level, "json" if general.log_format == "json" else "logfmt", copies=copies)


def reconfigure_logs(before: Config, after: Config, process: str) -> None:
    """Do the same where something of it changed."""
    if _of_logs(before) != _of_logs(after):
        configure_logs(after, process)


def _of_logs(config: Config) -> tuple[object, ...]:
    general = config.of(GeneralSettings)
    return general.log_level, general.log_format, general.log_fluentd, general.log_fluentd_tag


def _copies(general: GeneralSettings, process: str) -> Sequence[logging.Handler]:
    if general.log_fluentd is None:
        return ()
    from compose_agent.log_fluentd import FluentdHandler  # noqa: PLC0415 - only who asks for it carries it

    return [FluentdHandler(general.log_fluentd, general.log_fluentd_tag.replace("{role}", process))]


def warn_of_restart(options: list[str]) -> None:
    """Say of each option that its new value waits for the next start of the program."""
    for option in options:
        logger.warning("takes effect at the next start", extra={"option": option})
