"""The exporter in a container: with the mounts and the restrictions that docs/container.md names."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import docker
from docker.models.containers import Container

from lab import LabError
from lab.engine import PrivateEngine
from lab.loopback import DIRECT, answers

UID = 65532
PORT = 9417
STATE_DIR = "/var/lib/compose-agent"
# A start takes a second; on a loaded machine, or in a guest of lab.uml, many times that.
START_SECONDS = 60.0
_SCRAPE_SECONDS = 15.0


class ContainedAgent:
    """``compose-agent export`` as an unprivileged user in a container, as a collaborator of tests.

    ``options`` are passed to the Engine besides those of the documentation, or instead of them.
    """

    def __init__(
        self, engine: PrivateEngine, client: docker.DockerClient, image: str, **options: Any
    ) -> None:
        self._client = client
        self._image = image
        self.options = {**_options(engine), **options}
        self._container: Container | None = None

    def __enter__(self) -> Self:
        self._container = self._client.containers.run(self._image, detach=True, **self.options)
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.container.remove(force=True, v=True)

    @property
    def container(self) -> Container:
        """The container, with its present attributes."""
        assert self._container is not None
        self._container.reload()
        return self._container

    @property
    def url(self) -> str:
        """The exporter's address on the container's network."""
        networks: Mapping[str, Any] = self.container.attrs["NetworkSettings"]["Networks"]
        return f"http://{next(iter(networks.values()))['IPAddress']}:{PORT}"

    def wait_ready(self) -> None:
        """Wait until the exporter has seen every container."""
        deadline = time.monotonic() + START_SECONDS
        while not answers(f"{self.url}/-/ready"):
            log = self.container.logs(tail=20).decode()
            if self.container.status == "exited" or time.monotonic() > deadline:
                raise LabError(f"the exporter in the container is not ready:\n{log}")
            time.sleep(0.1)

    def get(self, path: str = "/metrics") -> str:
        """Return the body at ``path``."""
        request = urllib.request.Request(self.url + path)  # noqa: S310 - our own
        with DIRECT.open(request, timeout=_SCRAPE_SECONDS) as response:
            body: bytes = response.read()
            return body.decode()


def _options(engine: PrivateEngine) -> dict[str, Any]:
    return {
        "name": "exporter",
        "command": ["export", "--path.procfs=/host/proc", "--path.cgroupfs=/host/cgroup"],
        "volumes": {
            engine.socket: {"bind": "/var/run/docker.sock", "mode": "ro"},
            "/proc": {"bind": "/host/proc", "mode": "ro"},
            "/sys/fs/cgroup": {"bind": "/host/cgroup", "mode": "ro"},
        },
        "group_add": [str(Path(engine.socket).stat().st_gid)],
        "user": f"{UID}:{UID}",
        "read_only": True,
        "tmpfs": {STATE_DIR: f"uid={UID},gid={UID},mode=0700"},
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
    }
