"""Running one role in this process: its local interface, its configuration, its end."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from compose_agent import __version__, log
from compose_agent.config import Config, Schema
from compose_agent.config.general import GeneralSettings
from compose_agent.config.wire import decode_revision
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.role import ConfigState, RoleSpec
from compose_agent.tracing import attributes, tracer
from compose_agent.web.health import Readiness
from compose_agent.web.local import local_server

logger = logging.getLogger(__name__)
_tracer = tracer(__name__)


class Runner:
    """A role with its local socket.

    ``load`` reads the configuration anew; a supervised role has none, because its supervisor sends each
    revision over the local socket.
    """

    def __init__(
        self,
        spec: RoleSpec,
        schema: Schema,
        config: Config,
        load: Callable[[], Config] | None = None,
        revision: int = 1,
    ) -> None:
        self._spec = spec
        self._schema = schema
        self._config = config
        self._load = load
        self._state = ConfigState()
        self._state.applied(revision)
        self._lock = threading.Lock()
        self._role = spec.make(config, self._state)
        run_dir = config.of(GeneralSettings).run_dir()
        self._local = local_server(run_dir, spec.name, self.readiness, self._reload_from, self._role.routes())

    def start(self) -> None:
        """Start the role; raises ComposeAgentError, and leaves nothing behind, when it cannot."""
        self._local.bind()  # first, so that a second instance is refused before it does anything
        try:
            self._role.start()
        except BaseException:
            self._local.stop()
            raise
        self._local.start()

    def stop(self) -> None:
        """Stop the role, then its local interface."""
        self._role.stop()
        self._local.stop()

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
            raise ConfigError(Problem(self._spec.name, "is supervised: send SIGHUP to its supervisor"))
        try:
            config = self._load()
        except ConfigError:
            self._state.refused()
            raise
        return self.apply(self._state.revision + 1, config)

    def apply(self, revision: int, config: Config) -> int:
        """Take a configuration whole and return its revision; ConfigError when the role cannot, unchanged."""
        with self._lock, _tracer.start_as_current_span("config reload") as span:
            span.set_attribute(attributes.CONFIG_REVISION, revision)
            try:
                self._role.apply(config)
            except ComposeAgentError as error:
                self._state.refused()
                if isinstance(error, ConfigError):
                    raise
                raise ConfigError(Problem(self._spec.name, str(error))) from error
            for key in changed_for_next_start(self._schema, self._config, config):
                logger.warning("takes effect at the next start", extra={"option": key})
            self._config = config
            self._state.applied(revision)
            logger.info("configuration applied", extra={"role": self._spec.name, "revision": revision})
            return revision

    def refuse(self) -> None:
        """Note that somebody else refused the newest configuration, so that this role's metrics say so."""
        self._state.refused()

    def _reload_from(self, body: bytes) -> int:
        if not body:
            return self.reload()
        try:
            revision, config = decode_revision(body, self._schema)
        except ConfigError:
            self._state.refused()
            raise
        return self.apply(revision, config)


def configure_logs(config: Config) -> None:
    """Set level and format of this process's logs."""
    general = config.of(GeneralSettings)
    log.setup(general.log_level, "json" if general.log_format == "json" else "logfmt")


def changed_for_next_start(schema: Schema, before: Config, after: Config) -> Iterator[str]:
    """Yield the options that differ and that a running process does not take."""
    for key, bound in schema.options.items():
        if bound.option.restart and value_of(before, key) != value_of(after, key):
            yield key


def value_of(config: Config, key: str) -> object:
    """Return what was given for ``key``, None for the default."""
    given = config.given.get(key)
    return given.value if given else None
