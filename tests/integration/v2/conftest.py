"""A dozen containers and an exporter on a host with cgroup v2: inside the guest of lab.uml."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import docker
import pytest

from lab import uml
from lab.agent import Agent
from lab.busybox import ensure_image
from lab.engine import PrivateEngine

# Only test_cgroup_v2.py runs what is here, and there it runs in the guest.
collect_ignore_glob = [] if os.environ.get(uml.GUEST_MARK) else ["test_*.py"]

SECOND_NS = 1_000_000_000
# A container start takes seconds in the guest, and four take hardly longer than one.
PARALLEL = 4
# No loop in the shell, so that memory stays the same from one reading to the next.
IDLE = "exec sleep 100000"
CONTAINERS: dict[str, dict[str, Any]] = {
    "limited": {
        "script": "while :; do :; done",
        "nano_cpus": 200_000_000,
        "mem_limit": "64m",
        "memswap_limit": "64m",
        "pids_limit": 20,
    },
    "writer": {
        "script": f"dd if=/dev/zero of=/disk/file bs=1M count=20 conv=fsync 2>/dev/null; {IDLE}",
        "volumes": {uml.DISK: {"bind": "/disk", "mode": "rw"}},
    },
    "filled": {
        "script": f"dd if=/dev/zero of=/cache/file bs=1M count=25 2>/dev/null; {IDLE}",
        "tmpfs": {"/cache": ""},
        "mem_limit": "48m",
    },
    "unhealthy": {
        "script": IDLE,
        "healthcheck": {
            "test": ["CMD-SHELL", "exit 1"],
            "interval": 5 * SECOND_NS,
            "timeout": 30 * SECOND_NS,
            "retries": 1,
        },
    },
    "exited": {"script": "exit 3"},
    **{f"quiet-{n}": {"script": IDLE} for n in range(7)},
}


@pytest.fixture(scope="session")
def engine() -> Iterator[PrivateEngine]:
    """Start an Engine on the guest's own network: its kernel has no packet filter for another one."""
    with PrivateEngine("28", share_network=True) as started:
        yield started


@pytest.fixture(scope="session")
def containers(docker_client: docker.DockerClient) -> docker.DockerClient:
    """Start the dozen; they end with the guest."""
    image = ensure_image(docker_client)
    with ThreadPoolExecutor(PARALLEL) as pool:
        list(pool.map(partial(_start, docker_client, image), CONTAINERS))
    docker_client.containers.get("exited").wait()
    return docker_client


def _start(client: docker.DockerClient, image: str, name: str) -> None:
    options = dict(CONTAINERS[name])
    client.containers.run(image, ["sh", "-c", options.pop("script")], name=name, detach=True, **options)


@pytest.fixture(scope="session")
def agent(engine: PrivateEngine, containers: docker.DockerClient) -> Iterator[Agent]:  # noqa: ARG001 - are there
    """Run an exporter that has seen every container."""
    with Agent(engine.host) as running:
        running.wait_ready()
        yield running
