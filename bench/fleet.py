"""Many running containers on a private Engine, started in parallel and reused."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import docker

from lab.busybox import ensure_image
from lab.engine import PrivateEngine

# Starts wait for the kernel more than for a processor.
_PARALLEL = 4


class Fleet:
    """Containers named ``fleet-0`` …, labelled as replicas of ten Compose services."""

    def __init__(self, engine: PrivateEngine) -> None:
        self._client = docker.DockerClient(base_url=engine.host, timeout=120)
        self._tag = ensure_image(self._client)
        self._size = 0

    def grow(self, size: int) -> None:
        """Start containers until there are ``size``."""
        print(f"starting {size - self._size} containers", file=sys.stderr)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            list(pool.map(self._start, range(self._size, size)))
        self._size = size

    def _start(self, number: int) -> None:
        labels = {
            "com.docker.compose.project": "fleet",
            "com.docker.compose.service": f"service-{number % 10}",
            "com.docker.compose.container-number": str(number // 10 + 1),
        }
        # A quota, so that throttling counts; a limit of its own; a little work, so that counters move.
        self._client.containers.run(
            self._tag,
            ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 5 & wait $!; done"],
            name=f"fleet-{number}",
            labels=labels,
            nano_cpus=500_000_000,
            mem_limit="32m",
            pids_limit=64,
            detach=True,
        )
