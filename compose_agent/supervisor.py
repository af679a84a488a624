"""The supervisor of ``run``: every enabled role in a process of its own, or all of them in this one."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from compose_agent.config import Config, Schema
from compose_agent.config.general import GeneralSettings
from compose_agent.config.wire import encode_refusal, encode_revision
from compose_agent.errors import ComposeAgentError, ConfigError
from compose_agent.role import RoleSpec
from compose_agent.runner import Runner
from compose_agent.web.health import Readiness
from compose_agent.web.localclient import LocalClient, RoleNotRunning

logger = logging.getLogger(__name__)

# A role that dies is started again, at first at once, then ever more slowly.
RESTART_FIRST_SECONDS = 1.0
RESTART_LAST_SECONDS = 30.0
# Whoever ran this long is well again: its next death starts from the shortest wait.
WELL_AFTER_SECONDS = 60.0
# A role finishes what it began within seconds; then it is killed.
STOP_SECONDS = 10.0
# How often processes are looked at.
_LOOK_SECONDS = 0.2
# Exit codes of what a person must mend (errors.py): starting again cannot help.
_HOPELESS = range(2, 7)


class Unit(Protocol):
    """A role as the supervisor sees it, in whatever process it lives."""

    name: str

    def start(self) -> None: ...  # noqa: D102
    def look(self) -> None: ...  # noqa: D102
    def apply(self, revision: int, config: Config) -> None: ...  # noqa: D102
    def refuse(self, error: ConfigError) -> None: ...  # noqa: D102
    def readiness(self) -> Readiness | None: ...  # noqa: D102
    def stop(self) -> None: ...  # noqa: D102


class RoleFailed(ComposeAgentError):
    """A role stopped with an exit code that no restart will mend; it has said why itself."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"the role {name} cannot run (exit status {code}); its own message stands above")
        self.code = code


class ProcessUnit:
    """A role in a process of its own: a fresh interpreter, the configuration on its standard input.

    The pipe stays open as long as this process lives; the role stops when it closes.
    """

    def __init__(self, spec: RoleSpec, revision: int, config: Config) -> None:
        self.name = spec.name
        self._revision, self._config = revision, config
        self._client = LocalClient(config.of(GeneralSettings).run_dir(), spec.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._wait = RESTART_FIRST_SECONDS
        self._restart_at: float | None = None
        self._was_ready = False

    def start(self) -> None:
        """Start the process."""
        self._restart_at = None
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "compose_agent", "role", self.name],
            stdin=subprocess.PIPE,
            process_group=0,  # a Ctrl-C is for the supervisor, which stops its roles in order
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        try:
            self._process.stdin.write(encode_revision(self._revision, self._config))
            self._process.stdin.flush()
        except BrokenPipeError:
            logger.warning("role died at its start", extra={"role": self.name})

    def look(self) -> None:
        """Start the role again if it died; RoleFailed if that cannot help."""
        if self._restart_at is not None:
            if time.monotonic() >= self._restart_at:
                self.start()
            return
        code = self._process.poll() if self._process else 0
        if code is None:
            return
        if code in _HOPELESS and not self._was_ready:
            raise RoleFailed(self.name, code)
        if time.monotonic() - self._started > WELL_AFTER_SECONDS:
            self._wait = RESTART_FIRST_SECONDS
        logger.error("role died", extra={"role": self.name, "exit_status": code, "restart_in": self._wait})
        self._restart_at = time.monotonic() + self._wait
        self._wait = min(self._wait * 2, RESTART_LAST_SECONDS)

    def apply(self, revision: int, config: Config) -> None:
        """Send a revision; a role that is just being started gets it at its start."""
        try:
            self._client.reload(encode_revision(revision, config))
        except RoleNotRunning:
            logger.info(
                "role is not running; it gets the configuration at its start", extra={"role": self.name}
            )
        self._revision, self._config = revision, config

    def refuse(self, error: ConfigError) -> None:
        """Tell the role that the newest configuration was refused."""
        with suppress(ComposeAgentError):  # the answer is that very refusal
            self._client.reload(encode_refusal(error))

    def readiness(self) -> Readiness | None:
        """Return what the role says of itself, None while it does not answer."""
        try:
            readiness = self._client.ready()
        except ComposeAgentError:
            return None
        self._was_ready = True
        return readiness

    def stop(self) -> None:
        """Ask the role to stop, and kill it if it does not."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            logger.warning("role did not stop and is killed", extra={"role": self.name})
            self._process.kill()
            self._process.wait()


class ThreadUnit:
    """A role in this process, for small hosts."""

    def __init__(self, spec: RoleSpec, schema: Schema, revision: int, config: Config) -> None:
        self.name = spec.name
        self._runner = Runner(spec, schema, config, revision=revision)

    def start(self) -> None:
        """Start the role; raises what it raises."""
        self._runner.start()

    def look(self) -> None:
        """Nothing to look at: what ends this process ends the role."""

    def apply(self, revision: int, config: Config) -> None:
        """Apply a revision."""
        self._runner.apply(revision, config)

    def refuse(self, error: ConfigError) -> None:
        """Have the role note that the newest configuration was refused."""
        self._runner.refuse()

    def readiness(self) -> Readiness | None:
        """Return what the role says of itself."""
        return self._runner.readiness()

    def stop(self) -> None:
        """Stop the role."""
        self._runner.stop()


class Supervisor:
    """Keeps units running and hands out configurations: to all of them, or to none."""

    def __init__(self, units: Sequence[Unit], config: Config, load: Callable[[], Config]) -> None:
        self._units = units
        self._config = config
        self._load = load
        self._revision = 1
        self._lock = threading.Lock()

    def run(self, stop: threading.Event, started: Callable[[list[Readiness]], None]) -> None:
        """Run until ``stop`` is set; ``started`` is called once, when every role answers."""
        announced = False
        try:
            for unit in self._units:
                unit.start()
            while not stop.wait(_LOOK_SECONDS):
                for unit in self._units:
                    unit.look()
                if not announced:
                    announced = self._announce(started)
        finally:
            for unit in reversed(self._units):
                unit.stop()

    def _announce(self, started: Callable[[list[Readiness]], None]) -> bool:
        states = [unit.readiness() for unit in self._units]
        found = [state for state in states if state is not None]
        if len(found) < len(states):
            return False
        started(found)
        return True

    def reload(self) -> None:
        """Validate the configuration whole, apply it everywhere, and take it back if one role refuses."""
        with self._lock:
            try:
                config = self._load()
                self._hand_out(self._revision + 1, config)
            except ConfigError as error:
                for unit in self._units:
                    unit.refuse(error)
                raise
            self._revision, self._config = self._revision + 1, config

    def _hand_out(self, revision: int, config: Config) -> None:
        applied: list[Unit] = []
        try:
            for unit in self._units:
                unit.apply(revision, config)
                applied.append(unit)
        except ConfigError:
            for unit in applied:
                unit.apply(self._revision, self._config)
            raise
