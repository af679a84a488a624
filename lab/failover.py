"""Groups of services that take over from one another, as a Compose project, and a client among them.

Each server says its name to whoever asks for it, and whether it is well: ``fail`` has it say that it is not,
``mend`` the opposite, and so does a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
from docker.models.containers import Container

from lab.busybox import TAG
from lab.compose import SLEEPER

CLIENT = "client"
PORT = 80
_HEALTH = "/www/health"
# A process 1 that handles no signal does not end when it is told to.
_SERVE = (
    f"mkdir -p /www; echo $NAME > /www/name; echo well > {_HEALTH}; trap 'exit 0' TERM;"
    f" httpd -f -p {PORT} -h /www & wait"
)
# As short as a health check can be; the probe of the agent's own is as fast.
HEALTHCHECK = {
    "test": ["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{PORT}/health"],
    "interval": "1s",
    "timeout": "1s",
    "retries": 3,
}
PROBE = {
    "compose-agent.probe.http": f"{PORT}/health",
    "compose-agent.probe.initial-delay": "0s",
    "compose-agent.probe.period": "1s",
    "compose-agent.probe.timeout": "1s",
    "compose-agent.probe.failure-threshold": "3",
}
_LABEL = "compose-agent.failover"
# Who asks one that is gone would wait for minutes. (With busybox's own option for that it crashes.)
_ASK_SECONDS = 1


def member(name: str, group: str, *, labels: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """Return a service that says ``name``, of a group, and may be acted on."""
    own = {"compose-agent.remediate": "restart", f"{_LABEL}.group": group, **(labels or {})}
    return {
        "image": TAG,
        "command": ["sh", "-c", _SERVE.replace("$", "$$")],
        "environment": {"NAME": name},
        "labels": own,
        **more,
    }


def pair(
    group: str, primary: str, standby: str, alias: str, labels: Mapping[str, str], *, shared: bool = False
) -> dict[str, Any]:
    """Return two services, of which the second takes over from the first, also its name ``alias``.

    Where it is not ``shared``, having the name from the beginning, the agent gives it to the standby.
    """
    named = {"networks": {"default": {"aliases": [alias]}}}
    role, alias_of = {f"{_LABEL}.role": "primary"}, {f"{_LABEL}.alias": alias}
    return {
        primary: member(primary, group, labels={**role, **labels}, **named),
        standby: member(standby, group, labels=labels, **named)
        if shared
        else member(standby, group, labels={**alias_of, **labels}),
    }


def replicas(group: str, name: str, count: int) -> dict[str, Any]:
    """Return a service of which all replicas run, and those that are ill leave the network."""
    labels = {f"{_LABEL}.mode": "active-active"}
    return {name: member(name, group, labels=labels, scale=count, healthcheck=HEALTHCHECK)}


def client() -> dict[str, Any]:
    """Return the service that asks the others."""
    return {CLIENT: {"image": TAG, "command": ["sh", "-c", SLEEPER.replace("$", "$$")]}}


class Client:
    """Asks from within the project's network."""

    def __init__(self, container: Container) -> None:
        self._container = container

    def name_of(self, host: str) -> str:
        """Return who answers by this name, empty when nobody does."""
        command = ["timeout", str(_ASK_SECONDS), "wget", "-q", "-O", "-", f"http://{host}:{PORT}/name"]
        status, output = self._container.exec_run(command, stderr=False)
        return output.decode().strip() if status == 0 else ""

    def addresses_of(self, host: str) -> set[str]:
        """Return the addresses that the Engine's DNS has for a name."""
        _, output = self._container.exec_run(["nslookup", host, "127.0.0.11"])
        answer = output.decode().partition("Name:")[2]
        return {line.rpartition(" ")[2] for line in answer.splitlines() if line.startswith("Address")}


def client_of(engine: docker.DockerClient, project: str) -> Client:
    """Return the client of a project that is up."""
    return Client(engine.containers.get(f"{project}-{CLIENT}-1"))


def fail(container: Container) -> None:
    """Have a server say that it is ill."""
    container.exec_run(["rm", "-f", _HEALTH])


def hang(container: Container) -> None:
    """Have a server take connections and never answer."""
    container.exec_run(["sh", "-c", "kill -STOP $(pidof httpd)"])


def mend(container: Container) -> None:
    """Have a server say that it is well."""
    container.exec_run(["sh", "-c", f"echo well > {_HEALTH}"])


def address_in(container: Container, network: str) -> str:
    """Return a container's address in a network, empty while it is not in there."""
    container.reload()
    endpoint = container.attrs["NetworkSettings"]["Networks"].get(network) or {}
    return str(endpoint.get("IPAddress") or "")
