"""A program that runs in a scratch: started, awaited, stopped, frozen, and asked for its log."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from lab import LabError
from lab.scratch import Scratch

# About a second on an idle machine; a minute on two cores that unpack packages and run tests besides.
START_TIMEOUT_S = 60.0
# A program that has not ended after this long hangs.
STOP_TIMEOUT_S = 30.0
_POLL_S = 0.05


class Process:
    """One program; ``command`` is run anew at each start, ``answers`` tells whether it is ready."""

    def __init__(
        self,
        scratch: Scratch,
        command: Sequence[str],
        *,
        name: str,
        answers: Callable[[], bool],
        environment: Mapping[str, str] | None = None,
        start_timeout: float = START_TIMEOUT_S,
    ) -> None:
        self._start_timeout = start_timeout
        self._command = list(command)
        self._name = name
        self._answers = answers
        self._environment = {**os.environ, **(environment or {}), **scratch.environment()}
        self._log = scratch.root / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id, of the last run when it does not run now."""
        return self._started.pid

    def start(self) -> None:
        """Start the program and return when it answers; LabError has the end of its log."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at a terminal is for the owner, who then stops everything in order.
                start_new_session=True,
            )
        self.wait_until(self._is_ready, self._start_timeout, "did not answer")

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, also to a frozen program, and wait for its end."""
        if self._started.poll() is None:
            self._started.send_signal(number)
            self._started.send_signal(signal.SIGCONT)
            self.wait_until(lambda: self._started.poll() is not None, STOP_TIMEOUT_S, "did not end")

    def close(self) -> None:
        """End the program at once if it runs."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def freeze(self) -> None:
        """Stop the program with SIGSTOP, and return when it is stopped."""
        self._started.send_signal(signal.SIGSTOP)
        self.wait_until(lambda: _state(self.pid) == "T", STOP_TIMEOUT_S, "did not stop on SIGSTOP")

    def thaw(self) -> None:
        """Let a frozen program go on."""
        self._started.send_signal(signal.SIGCONT)

    def logs(self, lines: int = 30) -> str:
        """Return the last lines that the program wrote."""
        text = self._log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def wait_until(self, done: Callable[[], bool], timeout: float, failure: str) -> None:
        """Return when ``done`` holds; after ``timeout`` seconds raise a LabError with the log."""
        deadline = time.monotonic() + timeout
        while not done():
            if time.monotonic() > deadline:
                raise LabError(f"{self._name} {failure} within {timeout:g} s:\n{self.logs()}")
            time.sleep(_POLL_S)

    @property
    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise LabError(f"{self._name} is not started", remedy="use it in a with statement")
        return self._child

    def _is_ready(self) -> bool:
        if self._started.poll() is not None:
            raise LabError(f"{self._name} ended with {self._started.returncode}:\n{self.logs()}")
        return self._answers()


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
