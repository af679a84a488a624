"""Lives of the program that need not import it anew: each is forked from a process that has done so.

What runs, how it is killed and what it leaves is as with a new interpreter; only the half second of CPU
goes that each start takes to import everything, which is most of the cost of a campaign of kills.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from pathlib import Path

from compose_agent import failpoints
from compose_agent.cli import main

_context = multiprocessing.get_context("forkserver")
# Whoever starts a life asks for the ends of all others; of two that ask at once one would be told nonsense.
_asking = threading.Lock()


class Forked:
    """A life of the program with ``arguments``, with what of ``subprocess.Popen`` a supervisor needs."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], log: Path) -> None:
        # Each life also runs the main module that starts it, and finds what that needs imported.
        ours = [name for name in sys.modules if name.startswith("bench.")]
        _context.set_forkserver_preload(["bench.imported", *ours])
        given = (list(arguments), dict(environ), str(log))
        self._process = _context.Process(target=_live, args=given)
        with _asking:
            self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return how it ended, negative for a signal, None while it runs."""
        with _asking:
            return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Return how it ended; raises ``subprocess.TimeoutExpired``."""
        connection.wait([self._process.sentinel], timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("compose-agent", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it by SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _live(arguments: Sequence[str], environ: Mapping[str, str], log: str) -> None:
    written = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.dup2(written, sys.stdout.fileno())
    os.dup2(written, sys.stderr.fileno())
    os.close(written)
    os.environ.clear()
    os.environ.update(environ)
    failpoints.arm(os.environ)
    sys.argv = ["compose-agent", *arguments]
    main()
