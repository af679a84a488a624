"""Hosts of a fleet: each with an Engine of its own, joined by a LAN to a manager that speaks TLS.

::

    with fleet(["host-1", "host-2"], folder) as site:
        site.manager.node("host-1")["state"]
        site.hosts[0].cable.pull()

Agents register as the article does it: ``NODE_ID=${HOSTNAME}``, and the manager by ``SERVER_ADDR``.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from compose_agent.web.localclient import LocalClient
from lab.busybox import ensure_image
from lab.engine import PrivateEngine
from lab.lan import Cable, Lan
from lab.manager import PORT, PROGRAM, LanManager
from lab.process import Process

INTERVAL_SECONDS = 4
# The host's name is known to the shell that starts the agent.
_AS_HOST = 'hostname "$0" && HOSTNAME=$(hostname) && NODE_ID=${HOSTNAME} exec "$@"'


@dataclass
class Host:
    """One host: what runs on it, and its connection with the others."""

    name: str
    engine: PrivateEngine
    cable: Cable
    agent: Process
    run_dir: Path

    def link(self) -> dict[str, Any]:
        """Return how the agent's link stands, as the agent says it."""
        document: dict[str, Any] = LocalClient(self.run_dir, "agent").get_json("/v1/link")
        return document

    def inside(self, *command: str) -> str:
        """Run a command on the host's network, and return what it prints."""
        words = ["nsenter", f"--target={self.engine.pid}", "--net", "--", *command]
        return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


@dataclass
class Site:
    """The LAN with its manager, and the hosts on it."""

    lan: Lan
    manager: LanManager
    hosts: Sequence[Host]

    def state(self, name: str) -> str:
        """Return the state of a node."""
        return str(self.manager.node(name).get("state"))

    def states(self) -> dict[str, str]:
        """Return the state of each node."""
        return {name: row["state"] for name, row in self.manager.nodes().items()}


@contextmanager
def fleet(names: Sequence[str], folder: Path, *, options: Sequence[str] = ()) -> Iterator[Site]:
    """Start a manager with ``options``, and a host of each name; nobody has registered yet."""
    with ExitStack() as held:
        lan = held.enter_context(Lan())
        (folder / "manager").mkdir()
        heartbeat = f"--heartbeat-interval={INTERVAL_SECONDS}s"
        manager = held.enter_context(LanManager(lan, folder / "manager", options=[heartbeat, *options]))
        yield Site(lan, manager, [_host(held, lan, manager, name, folder / name) for name in names])


def _host(held: ExitStack, lan: Lan, manager: LanManager, name: str, folder: Path) -> Host:
    engine = held.enter_context(PrivateEngine())
    cable = lan.attach(engine.pid)
    client = docker.DockerClient(base_url=engine.host)
    held.callback(client.close)
    image = ensure_image(client)
    client.containers.run(image, ["sleep", "3600"], name=f"web-of-{name}", detach=True)
    command = [
        *("nsenter", f"--target={engine.pid}", "--net", "--", "unshare", "--uts", "--"),
        *("/bin/sh", "-ec", _AS_HOST, name),
        *PROGRAM,
        *("run", "--register", "--enable-metrics", "--no-enable-remediation"),
        f"--docker.host={engine.host}",
        f"--state-dir={folder}/state",
        f"--run-dir={folder}/run",
        "--exporter.web.listen-address=:9417",
        f"--agent.tags={name[-1]}",
        "--agent.environment=lab",
        *manager.joining(),
    ]
    where = {"SERVER_ADDR": f"{lan.address}:{PORT}"}
    agent = Process(lan.scratch, command, name=f"agent-{name}", answers=lambda: True, environment=where)
    held.callback(agent.close)
    agent.start()
    return Host(name, engine, cable, agent, folder / "run")
