"""The real program, started as a user starts it."""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TypeVar

from compose_agent.errors import ComposeAgentError
from compose_agent.web.health import Readiness
from compose_agent.web.localclient import LocalClient

T = TypeVar("T")

# A program that is starting on a machine under full load.
PATIENCE_SECONDS = 20.0
# "SIGTERM stops all within seconds": before a container's runtime loses its patience.
STOP_SECONDS = 10.0
COMMAND = (sys.executable, "-P", "-m", "compose_agent")


def eventually(condition: Callable[[], T], what: str) -> T:
    """Return the first true value of ``condition``; fails with ``what`` when there is none in time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < end, what
        time.sleep(0.02)
    return value


def environment(home: Path) -> dict[str, str]:
    """Return an environment without any configuration of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("COMPOSE_", "DOCKER_"))}
    return {**kept, "HOME": str(home)}


def host_of(url: str) -> str:
    return url.removeprefix("http://")


class Agent:
    """One run of the program in ``folder``, with its configuration file, run directory and log there."""

    def __init__(self, folder: Path, arguments: Sequence[str], prefix: Sequence[str] = ()) -> None:
        self.folder = folder
        self.run_dir = folder / "run"
        self._stdout, self._stderr = folder / "out", folder / "log"
        flags = [f"--run-dir={self.run_dir}", f"--config.file={folder / 'agent.yml'}"]
        runs_all = not arguments or arguments[0] == "run" or arguments[0].startswith("-")
        if runs_all and "--enable-remediation" not in arguments:
            flags.append("--no-enable-remediation")  # its state would be that of the machine
        with self._stdout.open("wb") as out, self._stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [*prefix, *COMMAND, *arguments, *flags],
                cwd=folder,
                env=environment(folder),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._stderr.read_text()

    @property
    def out(self) -> str:
        return self._stdout.read_text()

    def client(self, name: str = "exporter") -> LocalClient:
        return LocalClient(self.run_dir, name, PATIENCE_SECONDS)

    def readiness(self) -> Readiness | None:
        with suppress(ComposeAgentError):
            return self.client().ready()
        return None

    def started(self) -> Agent:
        """Return when the exporter answers."""
        eventually(lambda: self.readiness() or self.process.poll() is not None, "no answer")
        assert self.process.poll() is None, self.log
        return self

    def urls(self) -> tuple[str, ...]:
        return self.client().ready().listeners

    def metrics(self, url: str | None = None) -> dict[str, float]:
        """Return the metrics without labels."""
        with closing(
            http.client.HTTPConnection(host_of(url or self.urls()[0]), timeout=PATIENCE_SECONDS)
        ) as one:
            one.request("GET", "/metrics")
            text = one.getresponse().read().decode()
        return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}

    def wait_for_config(self, revision: int, *, successful: bool) -> None:
        """Return when the exporter's metrics say so."""
        wanted = (float(revision), float(successful))

        def found() -> bool:
            metrics = self.metrics()
            names = ("config_revision", "config_last_reload_successful")
            return tuple(metrics[f"docker_exporter_{name}"] for name in names) == wanted

        eventually(found, f"the configuration never was {wanted}: {self.log}")

    def role_pid(self) -> int:
        """Return the process of the exporter under the supervisor."""
        (only,) = self.roles()
        return only

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit status, which must come within seconds, from every role."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert "role did not stop and is killed" not in self.log
        return status

    def roles(self) -> list[int]:
        """Return the processes of its roles."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [*map(int, children.read_text().split())]

    def kill(self) -> None:
        """End it, whatever state it is in; its roles notice by themselves."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


def agents(folder: Path) -> Iterator[Callable[..., Agent]]:
    """Yield what starts agents in ``folder`` with ``config`` in their file, and end them all afterwards."""
    running: list[Agent] = []

    def start(*arguments: str, config: str = "", name: str = "a", prefix: Sequence[str] = ()) -> Agent:
        place = folder / name
        place.mkdir(exist_ok=True)
        (place / "agent.yml").write_text(config)
        listen = () if "listen-address" in config else (f"--exporter.web.listen-address={FREE}",)
        absent = () if any("docker.host" in each for each in arguments) else ("--docker.host=/nowhere.sock",)
        running.append(Agent(place, [*arguments, *absent, *listen], prefix))
        return running[-1]

    yield start
    for agent in running:
        agent.kill()


FREE = "127.0.0.1:0"
