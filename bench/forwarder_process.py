"""``compose-agent forward`` as a process that is killed, frozen and started again, and measured."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lab import LabError
from lab.loopback import DIRECT, free_port

# Half a second on an idle machine; a bench has both cores busy.
_START_SECONDS = 60.0
# The forwarder drains for a bounded time when it is asked to stop.
_STOP_SECONDS = 60.0
_ANSWER_SECONDS = 2.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used: CPU seconds of all its threads, and its largest resident set in bytes."""

    cpu_seconds: float
    peak_bytes: int


class Forwarder:
    """The forwarder on the log folders in ``root``; its state and its ``forwarder.log`` are in ``home``."""

    def __init__(self, root: Path, home: Path, sinks: Sequence[str], options: Sequence[str] = ()) -> None:
        self.log = home / "forwarder.log"
        self.url = f"http://127.0.0.1:{free_port()}"
        self._argv = [
            *(sys.executable, "-m", "compose_agent", "forward", "--no-engine"),
            *("--docker-root", str(root), "--state-dir", str(home / "state"), "--from", "beginning"),
            *("--web.listen-address", self.url.removeprefix("http://")),
            *(word for sink in sinks for word in ("--sink", sink)),
            *options,
        ]
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def workers(self) -> list[int]:
        """The process ids of its workers, if it has any."""
        return _children(self.pid)

    @property
    def pid(self) -> int:
        """The process id, of the last run when it does not run now."""
        assert self._child is not None
        return self._child.pid

    def start(self) -> None:
        """Start it and return at once: a kill may come before it is ready."""
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_ready(self) -> None:
        """Wait until it reads and its sinks can be reached; LabError with its log if it does not."""
        deadline = time.monotonic() + _START_SECONDS
        while not self.get("/-/ready"):
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"the forwarder is not ready:\n{self.said()}")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End it as ``kill -9`` does, frozen or not; its workers too, as when their container is killed."""
        assert self._child is not None
        workers = _children(self._child.pid)
        self._child.kill()
        for worker in workers:
            with suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self._child.wait()

    def freeze(self) -> None:
        """Stop it with SIGSTOP, if it runs."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on, if it runs."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ask it to stop, and wait; LabError when it does not, or not in order."""
        assert self._child is not None
        self._child.terminate()
        try:
            code = self._child.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.kill()
            raise LabError(
                f"the forwarder did not stop within {_STOP_SECONDS:g} s:\n{self.said()}"
            ) from error
        if code:
            raise LabError(f"the forwarder ended with {code}:\n{self.said()}")

    def close(self) -> None:
        """End it at once if it runs."""
        if self._child is not None and self._child.poll() is None:
            self.kill()

    def check(self) -> None:
        """Raise LabError with the log if it has ended by itself."""
        assert self._child is not None
        if (code := self._child.poll()) is not None:
            raise LabError(f"the forwarder ended with {code}:\n{self.said()}")

    def get(self, path: str) -> str:
        """Return what it answers, empty for an error or no answer."""
        try:
            with DIRECT.open(f"{self.url}{path}", timeout=_ANSWER_SECONDS) as response:
                return str(response.read().decode())
        except urllib.error.HTTPError as error:
            error.close()
            return ""
        except OSError:
            return ""

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels, 0 while there is none."""
        lines = [line.rpartition(" ") for line in self.get("/metrics").splitlines()]
        return sum(float(value) for series, _, value in lines if series.partition("{")[0] == name)

    def said(self, lines: int = 30) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def usage(self) -> Usage:
        """Return what the present process has used so far."""
        return usage_of(self.pid)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)


def _children(pid: int) -> list[int]:
    """Return the children of a process; not every kernel lists them in ``/proc/PID/task/PID/children``."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(") ")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def usage_of(pid: int) -> Usage:
    """Return what a living process has used, from ``/proc``."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    ticks = int(fields[11]) + int(fields[12])  # utime and stime, of all threads
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(peak.split()[1]) * 1024)
