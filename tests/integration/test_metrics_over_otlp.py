"""The exporter of a real Engine pushes to a real OpenTelemetry Collector, which hands on what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from compose_agent.tracing.fake.collector import FakeCollector
from lab.agent import Agent
from lab.engine import PrivateEngine
from lab.otelcol import OtelCollector
from tests.integration.metrics import Exposition, eventually

pytestmark = [pytest.mark.engine]

NAME = "pushed"
_NAME = "container.name"
EXPECTED = {"container.memory.available", "container.cpu.time", "container.uptime", "docker_container_state"}


def attributes(said: Any) -> dict[str, str]:
    return {each.key: each.value.string_value for each in said}


def newest(judge: FakeCollector, name: str) -> dict[str, Any]:
    """Return the metrics of a container that came last, by name."""
    came = [each for each in judge.metrics if attributes(each.resource.attributes).get(_NAME) == name]
    assert came, f"nothing came about {name}"
    resource = came[-1]
    metrics = {metric.name: metric for scope in resource.scope_metrics for metric in scope.metrics}
    assert metrics.keys() >= EXPECTED
    return metrics


@pytest.fixture
def container(docker_client: docker.DockerClient, busybox: str) -> Iterator[str]:
    """Run a container, and return its id."""
    made = docker_client.containers.run(busybox, ["sleep", "600"], name=NAME, detach=True, mem_limit="64m")
    yield str(made.id)
    made.remove(force=True)


def test_a_real_collector_takes_them_and_they_are_what_a_scrape_says(
    engine: PrivateEngine, container: str, tmp_path: Path
) -> None:
    def check() -> None:
        metrics = newest(judge, NAME)
        scrape = Exposition.of(agent)
        limit = scrape.value("docker_container_memory_limit_bytes", name=NAME)
        (available,) = metrics["container.memory.available"].sum.data_points
        assert 0 < available.as_int < limit == 64 * 2**20
        times = metrics["container.cpu.time"].sum.data_points
        assert {attributes(each.attributes)["cpu.mode"] for each in times} == {"user", "system"}
        assert sum(each.as_double for each in times) > 0
        assert metrics["container.uptime"].gauge.data_points[0].as_double > 0
        states = metrics["docker_container_state"].gauge.data_points
        assert [attributes(each.attributes)["state"] for each in states if each.as_int] == ["running"]
        assert scrape.value("docker_exporter_otlp_pushes_total", outcome="taken") >= 2

    with FakeCollector() as judge, OtelCollector(judge.url) as collector:
        options = ["--otlp-interval=1s", f"--tracing.endpoint={collector.url}", f"--state-dir={tmp_path}"]
        with Agent(engine.host, options) as agent:
            agent.wait_ready()
            eventually(check, seconds=60)
    ids = {
        attributes(each.resource.attributes)["container.id"]
        for each in judge.metrics
        if attributes(each.resource.attributes).get(_NAME) == NAME
    }
    assert ids == {container}
