"""The exporter in a container on cgroup v2, in the host's cgroup namespace and in one of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import docker
import pytest

from lab.agent import Agent
from lab.busybox import ensure_image
from lab.engine import PrivateEngine
from tests.integration.contained import STATE_DIR, UID, ContainedAgent
from tests.integration.metrics import Exposition, eventually
from tests.integration.v2.conftest import CONTAINERS

pytestmark = pytest.mark.engine

RUNNING = len(CONTAINERS) - 1
CHECKOUT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module", params=["host", "private"])
def contained(
    request: pytest.FixtureRequest, engine: PrivateEngine, containers: docker.DockerClient
) -> Iterator[ContainedAgent]:
    """Run the exporter with the machine's own Python: an image with one is too much for the guest."""
    needed = [Path("/usr"), CHECKOUT, Path(sys.prefix), Path(sys.base_prefix)]
    binds = {str(folder): {"bind": str(folder), "mode": "ro"} for folder in needed}
    binds |= {f"/usr/{name}": {"bind": f"/{name}", "mode": "ro"} for name in ("lib", "lib64")}
    running = ContainedAgent(engine, containers, ensure_image(containers))
    running.options |= {
        "entrypoint": [sys.executable, "-m", "compose_agent"],
        "user": f"{UID}:{UID}",
        "cgroupns": request.param,
        "volumes": running.options["volumes"] | binds,
        "environment": {
            "PYTHONPATH": str(CHECKOUT),
            "COMPOSE_AGENT_STATE_DIR": STATE_DIR,
            "COMPOSE_AGENT_EXPORTER_WEB_LISTEN_ADDRESS": ":9417",
        },
    }
    with running:
        yield running


def test_usage_of_every_container_comes_from_files(contained: ContainedAgent) -> None:
    sources = ("cgroup", "api", "none")

    def check() -> None:
        count = partial(Exposition(contained.get()).value, "docker_exporter_usage_containers")
        found = {source: count(source=source) for source in sources}
        assert found == {"cgroup": RUNNING + 1, "api": 0, "none": 0}

    eventually(check, seconds=60)  # it may be up before the Engine says that it runs


@pytest.mark.parametrize(
    ("family", "labels"),
    [
        ("docker_container_memory_working_set_bytes", {"name": "filled"}),
        ("docker_container_network_receive_bytes_total", {"name": "quiet-0", "interface": "eth0"}),
        ("docker_container_fs_write_bytes_total", {"name": "writer", "device": "ubda"}),
        ("docker_container_pids", {"name": "quiet-0"}),
    ],
)
def test_values_are_those_that_the_host_sees(
    contained: ContainedAgent, agent: Agent, family: str, labels: dict[str, str]
) -> None:
    def check() -> None:
        seen = Exposition(contained.get()).value(family, **labels)
        assert seen == pytest.approx(Exposition.of(agent).value(family, **labels), rel=0.02)
        assert seen > 0

    eventually(check, seconds=30)


def test_throttling_is_seen(contained: ContainedAgent) -> None:
    def check() -> None:
        scrape = Exposition(contained.get())
        assert scrape.value("docker_container_cpu_throttled_periods_total", name="limited") > 0

    eventually(check)
