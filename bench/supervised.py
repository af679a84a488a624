"""A process that is started again whenever it dies, as a supervisor does, and counts its lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.forked import Forked

_STOP_SECONDS = 30.0
_SHOWN_LINES = 20


class Supervised:
    """``python -P -m`` of a ``module`` with ``arguments``, from ``start`` to ``close``.

    With ``forked`` the program's lives begin without an interpreter of their own (``bench.forked``).

    Each life, counted from 0, has the environment of ``environ_of`` besides the present one, and begins
    ``pause_of`` seconds after the end of the one before. Every end but one by SIGKILL is in ``faults``, all
    that it writes is in ``log``.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        log: Path,
        *,
        environ_of: Callable[[int], Mapping[str, str]] = lambda _life: {},
        pause_of: Callable[[int], float] = lambda _life: 0.0,
        module: str = "compose_agent",
        forked: bool = False,
    ) -> None:
        self._forked = forked
        self._arguments = arguments
        self._argv = [sys.executable, "-P", "-m", module, *arguments]
        self.log = log
        self._environ_of = environ_of
        self._pause_of = pause_of
        self._closing = threading.Event()
        self._child: subprocess.Popen[bytes] | Forked | None = None
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self.lives = 0
        self.kills = 0
        self.faults: list[str] = []

    def __enter__(self) -> Self:
        self._begin()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process id of the present life, or of the last one."""
        assert self._child is not None
        return self._child.pid

    def kill(self) -> None:
        """End the present life with SIGKILL; the next one begins."""
        assert self._child is not None
        self._child.kill()

    def close(self) -> None:
        """End it in order and start it no more; one that does not end in time is a fault."""
        self._closing.set()
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
            try:
                self._child.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.faults.append(f"it did not stop within {_STOP_SECONDS:g} s")
                self._child.kill()
        self._thread.join(_STOP_SECONDS)

    def said(self) -> str:
        """Return the last lines that it logged."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-_SHOWN_LINES:])

    def _begin(self) -> None:
        environ = {**os.environ, **self._environ_of(self.lives)}
        if self._forked:
            self._child = Forked(self._arguments, environ, self.log)
        else:
            with self.log.open("ab") as log:
                self._child = subprocess.Popen(
                    self._argv, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
        self.lives += 1

    def _supervise(self) -> None:
        while True:
            assert self._child is not None
            self._note_end(self._child.wait())
            if self._closing.wait(self._pause_of(self.lives)):
                return
            self._begin()
            if self._closing.is_set():
                self._child.kill()

    def _note_end(self, code: int) -> None:
        if code == -signal.SIGKILL:
            self.kills += 1
        # Asked to stop before it could listen to signals, it ends by the signal.
        elif code not in (0, -signal.SIGTERM) or not self._closing.is_set():
            self.faults.append(f"it ended with {code} in life {self.lives}:\n{self.said()}")
