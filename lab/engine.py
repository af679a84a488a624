"""A private, real Docker Engine: started in about a second, removed without a trace.

::

    with PrivateEngine("28") as engine:
        client = docker.DockerClient(base_url=engine.host)

Several may run beside one another and beside the system's Engine, which they never touch: each has
its own data, sockets, containerd, cgroup parent and (see lab.sandbox) mounts and network.

Traps this module knows about:

- Without ``--config-file`` dockerd reads ``/etc/docker/daemon.json`` and fails over flags given twice.
- 20.10 writes ``/etc/docker/key.json`` unless told another path; 28 does not know that setting.
- dockerd may take systemd as cgroup driver; then ``cgroup-parent`` has to be a slice.  cgroupfs is
  asked for, which works on every host.
- containerd dies with its dockerd.  Where PID 1 is no real init it stays as a zombie, which dockerd
  takes for alive by ``containerd.pid``, and waits for it until it gives up.
- After SIGKILL of dockerd the containers run on; the next start ends them, and starts again those
  with a restart policy.
- While dockerd is frozen its socket still accepts connections, and no answer ever comes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab import LabError
from lab.lines import Programs, programs
from lab.process import STOP_TIMEOUT_S, Process
from lab.sandbox import Sandbox
from lab.scratch import Scratch, processes

# What dockerd gives all containers together to end in an orderly stop; Docker's own 15 s are long for tests.
_CONTAINERS_STOP_S = 5
_PING_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class _Parts:
    programs: Programs
    scratch: Scratch
    dockerd: Process
    cleanup: ExitStack


class PrivateEngine:
    """A Docker Engine of one line (see lab.lines).

    ``share_network`` gives it the host's network instead of one of its own: for published ports and
    for builds that fetch packages.  ``flags`` and ``environment`` are given to dockerd besides its
    configuration.
    """

    def __init__(
        self,
        line: str = "20.10",
        *,
        share_network: bool = False,
        flags: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.line = line
        self._share_network = share_network
        self._flags = flags
        self._environment = dict(environment or {})
        self._started: _Parts | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def root(self) -> Path:
        """The folder with everything of this Engine."""
        return self._parts.scratch.root

    @property
    def socket(self) -> str:
        """The path of the Engine's unix socket."""
        return _socket(self._parts.scratch)

    @property
    def host(self) -> str:
        """The Engine's address as in DOCKER_HOST."""
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int:
        """The process id of dockerd, of the last one when it does not run."""
        return self._parts.dockerd.pid

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which ``docker``, ``docker compose`` and the like work on this Engine."""
        own = {"DOCKER_HOST": self.host, "DOCKER_CONFIG": str(self.root / "cli")}
        return {**os.environ, **self._parts.programs.environment(), **own}

    def start(self) -> None:
        """Fetch the programs when they are missing, start dockerd, and return when it answers."""
        if os.geteuid() != 0:
            raise LabError("a private Engine needs root", remedy="run as root")
        with ExitStack() as cleanup:
            found = programs(self.line)
            scratch = Scratch()
            cleanup.callback(scratch.close)
            sandbox = Sandbox(scratch, share_network=self._share_network)
            cleanup.callback(sandbox.close)
            self._configure(scratch, found, sandbox.network_settings())
            dockerd = self._dockerd(scratch, found, sandbox)
            cleanup.callback(dockerd.close)
            dockerd.start()
            self._started = _Parts(found, scratch, dockerd, cleanup.pop_all())

    def stop(self) -> None:
        """End dockerd and its containers at once, and remove everything; a second call does nothing."""
        parts, self._started = self._started, None
        if parts is not None:
            parts.cleanup.close()

    def kill(self) -> None:
        """End dockerd with SIGKILL, as a crash would; containers run on."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop dockerd in order, when it runs, start it again on the same data, and wait until it answers."""
        self._end(signal.SIGTERM)
        (self.root / "exec" / "containerd" / "containerd.pid").unlink(missing_ok=True)
        self._parts.dockerd.start()

    def freeze(self) -> None:
        """Stop dockerd with SIGSTOP: it accepts connections and never answers."""
        self._parts.dockerd.freeze()

    def thaw(self) -> None:
        """Let a frozen dockerd go on."""
        self._parts.dockerd.thaw()

    def logs(self, lines: int = 30) -> str:
        """Return the last lines that dockerd wrote."""
        return self._parts.dockerd.logs(lines)

    @property
    def _parts(self) -> _Parts:
        if self._started is None:
            raise LabError("this private Engine is not started", remedy="use it in a with statement")
        return self._started

    def _configure(self, scratch: Scratch, found: Programs, network: dict[str, Any]) -> None:
        own_key = {"deprecated-key-path": f"{scratch.root}/key.json"} if self.line == "20.10" else {}
        configuration = {
            "hosts": [f"unix://{_socket(scratch)}"],
            "data-root": f"{scratch.root}/data",
            "exec-root": f"{scratch.root}/exec",
            "pidfile": f"{scratch.root}/dockerd.pid",
            "cgroup-parent": f"/{scratch.token}",
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            "shutdown-timeout": _CONTAINERS_STOP_S,
            **network,
            **own_key,
        }
        (scratch.root / "daemon.json").write_text(json.dumps(configuration), encoding="utf-8")
        (scratch.root / "cli").mkdir()
        if found.plugins is not None:
            (scratch.root / "cli" / "cli-plugins").symlink_to(found.plugins)

    def _dockerd(self, scratch: Scratch, found: Programs, sandbox: Sandbox) -> Process:
        own = {"XTABLES_LOCKFILE": f"{scratch.root}/xtables.lock", "HOME": str(scratch.root)}
        return Process(
            scratch,
            [*sandbox.enter(), "dockerd", f"--config-file={scratch.root}/daemon.json", *self._flags],
            name="dockerd",
            answers=lambda: ping(_socket(scratch)),
            environment={**found.environment(), **own, **self._environment},
        )

    def _end(self, number: signal.Signals) -> None:
        self._parts.dockerd.end(number)
        self._parts.dockerd.wait_until(self._containerd_ended, STOP_TIMEOUT_S, "left its containerd behind")

    def _containerd_ended(self) -> bool:
        living = processes(self._parts.scratch.token)
        return all(_command_name(pid) != "containerd" for pid in living)


def ping(path: str, timeout: float = _PING_TIMEOUT_S) -> bool:
    """Tell whether an Engine answers ``/_ping`` on a unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 " in connection.recv(64)
        except OSError:
            return False


def _socket(scratch: Scratch) -> str:
    return str(scratch.root / "docker.sock")


def _command_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
