"""A small sample project, labelled as Docker Compose labels its own, so that there is something to see.

``python -m lab.demo up`` starts it on the Engine of DOCKER_HOST or ``--host``, from an image that is
built on the spot without any registry; ``python -m lab.demo down`` removes every trace of it.
``docker compose -p demo ps`` and ``down`` manage it as well.

Traps this module knows about:

- Docker waits ever longer before it restarts a container that lived for less than 10 s.
- A shell that is PID 1 ignores SIGTERM unless it sets a trap, and sets it off only between commands.
- The runtime's own start-up is charged to the container: below about 10 MB some versions cannot start.
- Pages of a tmpfs count as memory of the container and cannot be reclaimed, so a filled tmpfs holds
  it close to its limit without any risk of an OOM kill.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import docker
import docker.errors
from docker.models.containers import Container

from lab import LabError, busybox
from lab.packages import progress

PROJECT = "demo"
IMAGE = "compose-agent-lab/demo:latest"
NETWORK = f"{PROJECT}_default"
VOLUME = f"{PROJECT}_data"

# What down() may remove: only what up() made, should the user have a project "demo" as well.
_MARK = "compose-agent-lab.demo"

# Starts wait for the kernel more than for a processor; more at once than this gain nothing.
_PARALLEL = 4
# The image import and the starts of all containers at once, on a slow disk.
_CALL_TIMEOUT_S = 120
_SECOND_NS = 1_000_000_000

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the project; ``script`` is run by a shell that ends on SIGTERM."""

    name: str
    script: str
    replicas: int = 1
    memory: str = "16m"
    cpus: float = 0.0
    restart: str = "no"
    health: str | None = None
    depends_on: str = ""
    volume: bool = False
    tmpfs: str | None = None
    once: bool = False


SERVICES = (
    Service(
        "web",
        script="""mkdir -p /tmp/www && echo 'hello from the demo' >/tmp/www/index.html
            httpd -p 8080 -h /tmp/www
            while :; do seq 20000 >/dev/null; sleep 2; done""",
        replicas=2,
        restart="unless-stopped",
        health="wget -q -O - http://127.0.0.1:8080/",
    ),
    Service(
        "worker",
        script="""n=0; while :; do
            n=$((n + 1)); wget -q -O /dev/null http://web:8080/ 2>/dev/null; seq 60000 >/dev/null; sleep 0.5
            [ $((n % 10)) = 0 ] && dd if=/dev/zero of=/data/batch bs=64k count=4 conv=fsync 2>/dev/null
            [ $((n % 10)) = 0 ] && echo "batch $((n / 10)) done"
            done""",
        cpus=0.05,
        restart="unless-stopped",
        depends_on="web:service_started:false",
        volume=True,
    ),
    Service(
        "flapping",
        script="echo 'connecting to the database'; sleep 10; echo 'no answer, giving up' >&2; exit 1",
        restart="always",
    ),
    Service("unhealthy", script="while :; do sleep 1; done", health="echo 'queue is stuck'; exit 1"),
    Service("exited", script="echo 'DATABASE_URL is not set' >&2; exit 3", once=True),
    Service(
        "hungry",
        script="""dd if=/dev/zero of=/cache/filled bs=1M count=29 2>/dev/null
            echo 'cache is warm'; while :; do sleep 1; done""",
        memory="32m",
        tmpfs="/cache",
    ),
)


def up(client: docker.DockerClient) -> None:
    """Start what does not run yet; when everything does, change nothing.

    Raises LabError when the Engine has a Compose project of this name that is not ours.
    """
    existing = {container.name: container for container in _containers(client)}
    if foreign := [name for name, container in existing.items() if _MARK not in container.labels]:
        raise LabError(
            f"{foreign[0]} belongs to a Compose project named {PROJECT!r} of your own",
            remedy="stop that project, or use another Engine",
        )
    wanted = [(service, number) for service in SERVICES for number in range(1, service.replicas + 1)]
    missing = [(service, number) for service, number in wanted if not _is_done(existing, service, number)]
    if missing:
        progress(f"starting {len(missing)} containers of the project {PROJECT!r}")
        busybox.ensure_image(client, IMAGE)
        _ensure_network_and_volume(client)
        _in_parallel(lambda item: _start(client, existing, *item), missing)


def down(client: docker.DockerClient) -> None:
    """Remove the project's containers, network, volume and image; what is gone already is fine."""
    mine = [container for container in _containers(client) if _MARK in container.labels]
    _in_parallel(lambda container: _gone_is_fine(lambda: container.remove(force=True, v=True)), mine)
    for part in client.networks.list(filters={"label": _MARK}) + client.volumes.list(
        filters={"label": _MARK}
    ):
        _gone_is_fine(part.remove)
    _gone_is_fine(lambda: client.images.remove(IMAGE))


def main() -> int:
    """Run the command line, and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m lab.demo", description="Start or remove the sample project."
    )
    parser.add_argument("action", choices=("up", "down"))
    parser.add_argument("--host", help="address of the Engine, such as unix:///var/run/docker.sock")
    arguments = parser.parse_args()
    try:
        client = _connect(arguments.host)
        {"up": up, "down": down}[arguments.action](client)
        client.close()
    except (LabError, docker.errors.DockerException) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def _connect(host: str | None) -> docker.DockerClient:
    if host:
        return docker.DockerClient(base_url=host, timeout=_CALL_TIMEOUT_S)
    return docker.from_env(timeout=_CALL_TIMEOUT_S)


def _containers(client: docker.DockerClient) -> list[Container]:
    project = {"label": f"com.docker.compose.project={PROJECT}"}
    return list(client.containers.list(all=True, filters=project, ignore_removed=True))


def _is_done(existing: dict[str, Container], service: Service, number: int) -> bool:
    container = existing.get(_name(service, number))
    if container is None or container.labels["com.docker.compose.config-hash"] != _hash(service):
        return False
    return container.status in ("running", "restarting") or (service.once and container.status == "exited")


def _start(
    client: docker.DockerClient, existing: dict[str, Container], service: Service, number: int
) -> None:
    if left_over := existing.get(_name(service, number)):
        left_over.remove(force=True, v=True)
    aliases = [_name(service, number), service.name]
    client.containers.create(
        IMAGE,
        ["sh", "-c", f"trap 'exit 0' TERM\n{service.script}"],
        name=_name(service, number),
        labels=_labels(service, number),
        mem_limit=service.memory,
        memswap_limit=service.memory,
        nano_cpus=int(service.cpus * 1e9) or None,
        restart_policy={"Name": service.restart},
        healthcheck=_healthcheck(service.health),
        tmpfs={service.tmpfs: ""} if service.tmpfs else None,
        volumes={VOLUME: {"bind": "/data", "mode": "rw"}} if service.volume else None,
        network=NETWORK,
        networking_config={NETWORK: client.api.create_endpoint_config(aliases=aliases)},
    ).start()


def _healthcheck(test: str | None) -> dict[str, Any] | None:
    if test is None:
        return None
    return {"test": ["CMD-SHELL", test], "interval": 3 * _SECOND_NS, "timeout": 3 * _SECOND_NS, "retries": 1}


def _ensure_network_and_volume(client: docker.DockerClient) -> None:
    # An Engine lets two networks have one name, so it has to be asked.
    if not client.networks.list(names=[f"^{NETWORK}$"]):
        client.networks.create(NETWORK, labels=_project_labels() | {"com.docker.compose.network": "default"})
    client.volumes.create(VOLUME, labels=_project_labels() | {"com.docker.compose.volume": "data"})


def _labels(service: Service, number: int) -> dict[str, str]:
    """Return what Docker Compose v2 writes on a container."""
    return _project_labels() | {
        "com.docker.compose.config-hash": _hash(service),
        "com.docker.compose.container-number": str(number),
        "com.docker.compose.depends_on": service.depends_on,
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.project.config_files": f"/srv/{PROJECT}/compose.yaml",
        "com.docker.compose.project.working_dir": f"/srv/{PROJECT}",
        "com.docker.compose.service": service.name,
    }


def _project_labels() -> dict[str, str]:
    return {_MARK: "true", "com.docker.compose.project": PROJECT, "com.docker.compose.version": "2.40.3"}


def _hash(service: Service) -> str:
    return hashlib.sha256(json.dumps(asdict(service)).encode()).hexdigest()


def _name(service: Service, number: int) -> str:
    return f"{PROJECT}-{service.name}-{number}"


def _in_parallel(action: Callable[[_T], None], items: Iterable[_T]) -> None:
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(action, items))


def _gone_is_fine(remove: Callable[[], object]) -> None:
    try:
        remove()
    except docker.errors.NotFound:
        pass
    except docker.errors.APIError as error:
        # Somebody else is removing it at this moment.
        if error.status_code != 409 or "already in progress" not in str(error):
            raise


if __name__ == "__main__":
    sys.exit(main())
