"""The agent as a real process: with its own run directory and a free port, asked over HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from compose_agent.errors import ComposeAgentError
from compose_agent.web.health import Readiness
from compose_agent.web.localclient import LocalClient
from lab import LabError

# A start takes half a second; a machine under full load takes many times that.
START_SECONDS = 30.0
_STOP_SECONDS = 20.0


class Agent:
    """``compose-agent export`` (or another command) on the Engine at ``host``.

    ``options`` are further command-line options, ``role`` is the one that is asked for its readiness. The
    log is kept in ``log`` for error messages.
    """

    def __init__(
        self,
        host: str,
        options: Sequence[str] = (),
        *,
        command: str = "export",
        role: str = "exporter",
        environ: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "compose_agent"),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="compose-agent-run-")
        self.run_dir = Path(self._folder.name)
        self.log = self.run_dir / "log"
        listen = "--exporter.web.listen-address" if command == "run" else "--web.listen-address"
        chosen = [] if any(each.startswith(listen) for each in options) else [f"{listen}=127.0.0.1:0"]
        self._argv = [
            *program,
            command,
            f"--docker.host={host}",
            f"--run-dir={self.run_dir}",
            *chosen,
            *options,
        ]
        if command == "run" and "--enable-remediation" not in options:
            self._argv.append("--no-enable-remediation")  # its state would be that of the machine
        self._environ = {**os.environ, **(environ or {})}
        self.process: subprocess.Popen[bytes] | None = None
        self.local = LocalClient(self.run_dir, role)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        """Start the process and wait until it answers, ready or not."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self._argv, stdout=log, stderr=log, env=self._environ)
        self.wait_until(lambda: bool(self.readiness().listeners))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end and return the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        """End the process with SIGKILL and wait until it is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(_STOP_SECONDS)

    def readiness(self) -> Readiness:
        """Return what the role says of itself."""
        return self.local.ready()

    def wait_ready(self) -> None:
        """Wait until the role is ready."""
        self.wait_until(lambda: self.readiness().ready)

    def wait_until(self, done: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait until the function ``done`` returns true; LabError with the log when it does not."""
        assert self.process is not None
        deadline = time.monotonic() + seconds
        problem = "it stays false"
        while time.monotonic() < deadline:
            try:
                if done():
                    return
            except ComposeAgentError as error:
                problem = str(error)
            if self.process.poll() is not None:
                raise LabError(f"the agent ended with {self.process.returncode}", remedy=self.log.read_text())
            time.sleep(0.05)
        raise LabError(f"not within {seconds:g} s: {problem}", remedy=self.log.read_text())

    def logs(self, lines: int = 60) -> str:
        """Return the last lines that it wrote."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    @property
    def url(self) -> str:
        """The first URL on which the role listens."""
        return self.readiness().listeners[0]

    def get(
        self, path: str = "/metrics", headers: Mapping[str, str] | None = None, timeout: float = 15.0
    ) -> str:
        """Return the body at ``path``."""
        request = urllib.request.Request(self.url + path, headers=dict(headers or {}))  # noqa: S310 - our own
        with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
            body: bytes = response.read()
            return body.decode()
