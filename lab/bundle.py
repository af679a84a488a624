"""docker-compose.yml as it stands, brought up on a private Engine with the images that it has there.

::

    with PrivateEngine("28", share_network=True) as engine, Bundle(engine, tmp_path) as bundle:
        seconds = bundle.up()
        bundle.prometheus.query("up")

Everything is what a user starts, but for free ports, secrets of its own, and what compose/offline.yml leaves
out.  The Engine has to share the host's network, so that published ports are the host's.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker
from docker.models.containers import Container

from lab import LabError, image, standins
from lab.compose import environment
from lab.engine import PrivateEngine
from lab.loopback import DIRECT, free_port
from lab.prometheus import Api

ROOT = standins.COMPOSE_FILE.parent
IMAGE = "custom/compose-agent:latest"
OFFLINE = ("docker-compose.yml", "compose/offline.yml")

_PORTS = ("EXPORTER", "REMEDIATION", "ALERTMANAGER", "PROMETHEUS", "GRAFANA")
_COMPOSE_TIMEOUT_S = 300
_CALL_TIMEOUT_S = 300
_HTTP_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Said:
    """What a command wrote, and its exit status."""

    status: int
    output: str
    errors: str


class Bundle:
    """The bundle as the project ``name``; at the end it is taken down with its volumes."""

    def __init__(
        self,
        engine: PrivateEngine,
        folder: Path,
        *,
        name: str = "bundle",
        files: Sequence[str] = OFFLINE,
        profiles: Sequence[str] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.secrets = folder / "secrets"
        self._engine = engine
        self._profiles = profiles
        self._ports = {name: free_port() for name in _PORTS}
        self.environment = {
            **environment(engine, folder / "docker"),
            "COMPOSE_PROJECT_NAME": name,
            "COMPOSE_FILE": ":".join(str(ROOT / file) for file in files),
            "COMPOSE_PROFILES": ",".join(profiles),
            "DOCKER_SOCKET": engine.socket,
            "DOCKER_ROOT": f"{engine.root}/data",
            "SECRETS_DIR": str(self.secrets),
            **{f"{service}_PORT": str(port) for service, port in self._ports.items()},
            **(variables or {}),
        }
        self.client = docker.DockerClient(base_url=engine.host, timeout=_CALL_TIMEOUT_S)
        self.prometheus = Api(self.url("PROMETHEUS"))

    def __enter__(self) -> Self:
        standins.ensure(self.client, self._engine)
        image.build(self._engine, IMAGE)
        self.run(ROOT / "scripts" / "setup-secrets", self.secrets)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self.client):
            self.down()

    def url(self, service: str) -> str:
        """Return where a service that publishes a port is reached: ``url("PROMETHEUS")``."""
        return f"http://127.0.0.1:{self._ports[service]}"

    def up(self, *words: str) -> float:
        """Start everything, wait until all is healthy, and return how many seconds that took."""
        began = time.monotonic()
        self.compose("up", "--detach", "--wait", *words)
        return time.monotonic() - began

    def down(self) -> None:
        """Take everything down, and its volumes."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout", "10")

    def compose(self, *words: str) -> str:
        """Run ``docker compose`` and return what it printed; LabError with its errors when it fails."""
        return self.run("docker", "compose", *words)

    def run(self, *command: str | Path, given: str | None = None) -> str:
        """Run a program with the variables of the bundle, and ``given`` to read; LabError when it fails."""
        said = self.start(*command, given=given)
        if said.status != 0:
            raise LabError(f"{' '.join(map(str, command))} failed: {said.errors.strip()}\n{self._state()}")
        return said.output

    def start(self, *command: str | Path, given: str | None = None) -> Said:
        """Run a program with the variables of the bundle and ``given`` to read, and return how it ended."""
        done = subprocess.run(
            command,
            input=given,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=_COMPOSE_TIMEOUT_S,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def say(self, *words: str) -> Said:
        """Run ``compose-agent`` in the remediation service's container."""
        return self.start("docker", "compose", "exec", "--no-TTY", "remediation", "compose-agent", *words)

    def containers(self, service: str | None = None) -> list[Container]:
        """Return the project's containers, also stopped ones, or those of one service."""
        labels = [f"com.docker.compose.project={self.name}"]
        if service:
            labels.append(f"com.docker.compose.service={service}")
        return list(self.client.containers.list(all=True, filters={"label": labels}, ignore_removed=True))

    def get(self, service: str, path: str, user: str | None = None) -> str:
        """Return the body at a path of a published service, asked as one of the users of secrets/."""
        request = urllib.request.Request(self.url(service) + path)  # noqa: S310 - our own
        if user:
            request.add_header("Authorization", self.authorization(user))
        with DIRECT.open(request, timeout=_HTTP_TIMEOUT_S) as answer:
            body: bytes = answer.read()
            return body.decode()

    def authorization(self, user: str) -> str:
        """Return the value of the header with which a user of secrets/ proves who it is."""
        password = (self.secrets / f"{user}-password").read_text(encoding="utf-8")
        return f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that Alertmanager holds."""
        found: list[dict[str, Any]] = json.loads(self.get("ALERTMANAGER", "/api/v2/alerts"))
        return found

    def _state(self) -> str:
        """Return what a person would look at when something does not come up."""
        shown = self.start("docker", "compose", "ps", "--all", "--format", "{{.Service}}: {{.Status}}")
        logs = self.start("docker", "compose", "logs", "--no-color", "--tail", "8")
        return f"{shown.output}{logs.output}"
