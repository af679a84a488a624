"""What the supervisor runs: a role in a process of its own, or in this one."""

from __future__ import annotations

import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, suppress
from functools import partial
from typing import Protocol

from compose_agent.config import Config, Schema
from compose_agent.config.general import GeneralSettings
from compose_agent.config.wire import encode_refusal, encode_revision
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.role import RoleSpec
from compose_agent.runner import Runner
from compose_agent.web.health import Readiness
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from compose_agent.web.places import socket_path

logger = logging.getLogger(__name__)

# A role that dies is started again, at first soon, then ever more slowly.
RESTART_FIRST_SECONDS = 1.0
RESTART_LAST_SECONDS = 30.0
# Whoever ran this long is well again: its next death starts from the shortest wait.
WELL_AFTER_SECONDS = 60.0
# A role finishes what it began within seconds; then it is killed, before a container's runtime kills us all,
# which is after 10 s.
STOP_SECONDS = 8.0
# What is left of the same ten seconds.
AHEAD_SECONDS = 1.0
# A role that applies a configuration may wait for requests on a listener that it closes.
RELOAD_SECONDS = 30.0
# A fresh interpreter on a machine under full load.
START_SECONDS = 30.0
# A role answers from memory, and a stop must not wait for one that hangs.
_ANSWER_SECONDS = 1.0
# How often a role that is being started is asked again.
_ASK_AGAIN_SECONDS = 0.1
# Exit codes of what a person must mend (errors.py): starting again cannot help.
_HOPELESS = range(2, 7)


class Unit(Protocol):
    """A role as the supervisor sees it, in whatever process it lives."""

    @property
    def name(self) -> str:
        """The name of the role."""

    def start(self) -> None:
        """Start the role; raises ComposeAgentError for what can be told at once."""

    def look(self) -> None:
        """See to it that the role runs; raises RoleFailed if that cannot be."""

    def apply(self, revision: int, config: Config) -> None:
        """Have the role take a revision whole; ConfigError when it does not and keeps the one before."""

    def take_back(self, revision: int, config: Config) -> None:
        """Return the role to the revision before, because another one refused its successor."""

    def refuse(self, error: ConfigError) -> None:
        """Tell the role that the newest configuration was refused."""

    def readiness(self) -> Readiness | None:
        """Return what the role says of itself, None while it does not answer."""

    def stop(self) -> None:
        """Stop the role within seconds; nothing to do for one that does not run."""


class RoleFailed(ComposeAgentError):
    """A role stopped with an exit code that no restart will mend; it has said why itself."""

    def __init__(self, name: str, code: int) -> None:
        super().__init__(f"the role {name} cannot run (exit status {code}); its own message stands above")
        self.code = code


class ProcessUnit:
    """A role in a process of its own: a fresh interpreter, the configuration on its standard input.

    The pipe stays open as long as this process lives; the role stops when it closes. One of several
    processes of a role has a ``share`` of its work (``1/4``), a ``name`` of its own, and descriptors that it
    inherits.
    """

    def __init__(
        self,
        role: str,
        revision: int,
        config: Config,
        *,
        name: str = "",
        share: str = "",
        inherited: Sequence[int] = (),
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        self.name = name or role
        self._arguments = [role, *([f"--share={share}"] if share else [])]
        self._inherited = tuple(inherited)
        self._stop_seconds = stop_seconds
        self._revision, self._config = revision, config
        run_dir = config.of(GeneralSettings).run_dir()
        self._socket = socket_path(run_dir, self.name)
        self._asked = LocalClient(run_dir, self.name, _ANSWER_SECONDS)
        self._told = LocalClient(run_dir, self.name, RELOAD_SECONDS)
        # Between the thread that looks and the one that reloads.
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._wait = RESTART_FIRST_SECONDS
        self._restart_at: float | None = None
        self._was_ready = False

    def start(self) -> None:
        """Start the process."""
        with self._lock:
            self._start()

    def _start(self) -> None:
        self._restart_at = None
        self._started = time.monotonic()
        self._process = subprocess.Popen(
            # -P: a folder named docker/ in the working directory is no library.
            [sys.executable, "-P", "-m", "compose_agent", "role", *self._arguments],
            stdin=subprocess.PIPE,
            pass_fds=self._inherited,
            process_group=0,  # a Ctrl-C is for the supervisor, which stops its roles itself
        )
        assert self._process.stdin is not None  # noqa: S101 - asked for above
        try:
            self._process.stdin.write(encode_revision(self._revision, self._config))
            self._process.stdin.flush()
        except BrokenPipeError:
            logger.warning("role died at its start", extra={"role": self.name})

    def look(self) -> None:
        """Start the role again if it died; RoleFailed if that cannot help."""
        with self._lock:
            if self._restart_at is not None:
                if time.monotonic() >= self._restart_at:
                    self._start_again()
                return
            code = self._process.poll() if self._process else None
            if code is not None:
                self._bury(code)

    def _bury(self, code: int) -> None:
        if code in _HOPELESS and not self._was_ready:
            raise RoleFailed(self.name, code)
        self._close_pipe()
        if time.monotonic() - self._started > WELL_AFTER_SECONDS:
            self._wait = RESTART_FIRST_SECONDS
        logger.error("role died", extra={"role": self.name, "exit_status": code, "restart_in": self._wait})
        self._schedule()

    def _start_again(self) -> None:
        try:
            self._start()
        except OSError as error:  # no memory, no process id: it may be over soon
            logger.error("role cannot be started", extra={"role": self.name, "error": str(error)})  # noqa: TRY400
            self._schedule()

    def _schedule(self) -> None:
        self._restart_at = time.monotonic() + self._wait
        self._wait = min(self._wait * 2, RESTART_LAST_SECONDS)

    def apply(self, revision: int, config: Config) -> None:
        """Send a revision; a role that does not run gets it at its start, one being started is waited for."""
        give_up_at = time.monotonic() + START_SECONDS
        while not self._sent(revision, config):
            if time.monotonic() > give_up_at:
                raise ConfigError(Problem(self.name, f"has not answered for {START_SECONDS:g} s"))
            time.sleep(_ASK_AGAIN_SECONDS)

    def _sent(self, revision: int, config: Config) -> bool:
        """Return whether the process that runs now, or the next one, has the revision."""
        with self._lock:
            process = self._process
            if process is None or process.poll() is not None:
                logger.info("role gets the configuration at its start", extra={"role": self.name})
                self._revision, self._config = revision, config
                return True
        if not self._listens(process):
            return False
        try:
            self._told.reload(encode_revision(revision, config))
        except RoleNotRunning:
            return False
        except ConfigError:
            raise
        except ComposeAgentError as error:
            process.kill()  # nobody knows which revision it has; its next life begins with the one before
            raise ConfigError(Problem(self.name, str(error))) from error
        with self._lock:
            if self._process is not process:
                return False  # it died, and another one was started with the revision before
            self._revision, self._config = revision, config
            return True

    def take_back(self, revision: int, config: Config) -> None:
        """Send the revision before; if the role does not take it, it is started anew with it."""
        try:
            self.apply(revision, config)
        except ConfigError as error:
            logger.error(  # noqa: TRY400 - the message says it all
                "role does not go back and is started again", extra={"role": self.name, "error": str(error)}
            )
            with self._lock:
                self._revision, self._config = revision, config
                if self._process:
                    self._process.kill()

    def refuse(self, error: ConfigError) -> None:
        """Tell the role that the newest configuration was refused."""
        with suppress(ComposeAgentError):  # the answer is that very refusal
            self._asked.reload(encode_refusal(error))

    def readiness(self) -> Readiness | None:
        """Return what the role says of itself, None while it does not answer."""
        process = self._process
        if process is None or not self._listens(process):
            return None
        try:
            readiness = self._asked.ready()
        except ComposeAgentError:
            return None
        self._was_ready = True
        return readiness

    def _listens(self, process: subprocess.Popen[bytes]) -> bool:
        """Tell whether it is ``process`` that listens on the role's socket, and not a stranger."""
        with closing(socket.socket(socket.AF_UNIX)) as probe:
            probe.settimeout(_ANSWER_SECONDS)
            try:
                probe.connect(str(self._socket))
            except OSError:
                return False
            credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return bool(struct.unpack("3i", credentials)[0] == process.pid)

    def stop(self) -> None:
        """Ask the role to stop, and kill it if it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            logger.warning("role did not stop and is killed", extra={"role": self.name})
            self._process.kill()
            self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._process and self._process.stdin:
            with suppress(BrokenPipeError):
                self._process.stdin.close()


def hand_out(units: Sequence[Unit], revision: int, config: Config, before: tuple[int, Config]) -> None:
    """Have all units take a revision at once, or none: if one refuses, the others go back to ``before``.

    Raises ConfigError.
    """
    applied: list[Unit] = []
    refusals: list[ConfigError] = []
    with ThreadPoolExecutor(len(units) or 1) as pool:
        for unit, applying in [(unit, pool.submit(unit.apply, revision, config)) for unit in units]:
            try:
                applying.result()
            except ConfigError as error:
                refusals.append(error)
            else:
                applied.append(unit)
        if refusals:
            for going_back in [pool.submit(unit.take_back, *before) for unit in applied]:
                going_back.result()
    if refusals:
        raise refusals[0]


def stop_all(units: Sequence[Unit]) -> None:
    """Stop all units at once, so that several that hang take no longer than one.

    Raises the first error of them, when all are stopped. A role for which the others do not wait is ahead of
    them by up to :data:`AHEAD_SECONDS`: it speaks of them, and is not to tell that they are gone.
    """
    ahead = [unit for unit in units if isinstance(unit, PatientUnit)]
    others = [unit for unit in units if unit not in ahead]
    failures: list[BaseException] = []
    with ThreadPoolExecutor(len(units) or 1) as pool:
        stopping = [(unit.name, pool.submit(unit.stop)) for unit in ahead]
        wait([each for _, each in stopping], AHEAD_SECONDS)
        stopping += [(unit.name, pool.submit(unit.stop)) for unit in others]
        for name, each in stopping:
            if error := each.exception():
                logger.error("role cannot be stopped in order", extra={"role": name, "error": str(error)})
                failures.append(error)
    if failures:
        raise failures[0]


class ThreadUnit:
    """A role in this process, for small hosts."""

    def __init__(self, spec: RoleSpec, schema: Schema, revision: int, config: Config) -> None:
        self.name = spec.name
        # Only at the start: a role takes its state when it is made, and it may be another supervisor's.
        self._make = partial(Runner, spec, schema, owns_process=False)
        self._revision, self._config = revision, config
        self._runner: Runner | None = None

    def start(self) -> None:
        """Make the role and start it; raises what it raises."""
        made = self._make(self._config, revision=self._revision)
        made.start()
        self._runner = made

    def look(self) -> None:
        """Nothing to look at: what ends this process ends the role."""

    def apply(self, revision: int, config: Config) -> None:
        """Apply a revision; a role that does not run gets it at its start."""
        if self._runner:
            self._runner.apply(revision, config)
        self._revision, self._config = revision, config

    def take_back(self, revision: int, config: Config) -> None:
        """Apply the revision before."""
        try:
            self.apply(revision, config)
        except ConfigError as error:
            logger.error("role does not go back", extra={"role": self.name, "error": str(error)})  # noqa: TRY400

    def refuse(self, _error: ConfigError) -> None:
        """Have the role note that the newest configuration was refused."""
        if self._runner:
            self._runner.refuse()

    def readiness(self) -> Readiness | None:
        """Return what the role says of itself; None while it does not run."""
        return self._runner.readiness() if self._runner else None

    def stop(self) -> None:
        """Stop the role, if it runs."""
        if self._runner:
            self._runner.stop()


class PatientUnit(ThreadUnit):
    """A role in this process for which the others do not wait.

    While it cannot start for a reason that passes, it is tried again, ever more slowly, as the process of a
    role would be.
    """

    def __init__(self, spec: RoleSpec, schema: Schema, revision: int, config: Config) -> None:
        super().__init__(spec, schema, revision, config)
        # Between the thread that looks and the one that reloads.
        self._lock = threading.Lock()
        self._wait = RESTART_FIRST_SECONDS
        self._restart_at: float | None = None

    def start(self) -> None:
        """Start the role, or try later; RoleFailed if that cannot help."""
        with self._lock:
            self._try()

    def look(self) -> None:
        """Start the role when it is time to try again; RoleFailed if that cannot help."""
        with self._lock:
            if self._restart_at is not None and time.monotonic() >= self._restart_at:
                self._try()

    def apply(self, revision: int, config: Config) -> None:
        """Apply a revision; a role that does not run gets it at its start."""
        with self._lock:
            super().apply(revision, config)

    def _try(self) -> None:
        self._restart_at = None
        try:
            super().start()
        except ComposeAgentError as error:
            hopeless = error.exit_code in _HOPELESS
            wait = {} if hopeless else {"restart_in": self._wait}
            logger.error("role cannot start", extra={"role": self.name, "error": str(error), **wait})  # noqa: TRY400
            if hopeless:
                raise RoleFailed(self.name, error.exit_code) from error
            self._restart_at = time.monotonic() + self._wait
            self._wait = min(self._wait * 2, RESTART_LAST_SECONDS)
