"""The exporter on cgroup v2: what it says is what the Engine and the kernel say."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import docker
import pytest

from lab.agent import Agent
from lab.engine import PrivateEngine
from tests.integration.metrics import Exposition, eventually
from tests.integration.v2.conftest import CONTAINERS

pytestmark = pytest.mark.engine

MIB = 2**20
RUNNING = len(CONTAINERS) - 1
SOURCES = ("cgroup", "api", "none")
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# What is written by ``docker stats``: binary units with four digits at most.
UNITS = {"B": 1, "KiB": 2**10, "MiB": MIB, "GiB": 2**30}


def stats(client: docker.DockerClient, name: str) -> dict[str, Any]:
    result: dict[str, Any] = client.containers.get(name).stats(stream=False)
    return result


def test_the_engine_is_on_cgroup_v2(agent: Agent) -> None:
    assert Exposition.of(agent).value("docker_engine_info", cgroup_version="2") == 1


def test_usage_of_every_running_container_comes_from_files(agent: Agent) -> None:
    scrape = Exposition.of(agent)
    found = {source: scrape.value("docker_exporter_usage_containers", source=source) for source in SOURCES}
    assert found == {"cgroup": RUNNING, "api": 0, "none": 0}
    assert set(scrape.values("docker_exporter_collector_success")) == {1.0}


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_both_formats_have_every_container(agent: Agent, accept: str) -> None:
    text = agent.get(headers={"Accept": accept})
    assert text.endswith("# EOF\n") == (accept == OPENMETRICS)
    for name in CONTAINERS:
        assert f'docker_container_state{{name="{name}",' in text


def test_states_are_true(agent: Agent) -> None:
    def check() -> None:
        scrape = Exposition.of(agent)
        assert scrape.state("exited") == "exited"
        assert scrape.value("docker_container_exit_code", name="exited") == 3
        assert scrape.state("unhealthy") == "running"
        assert scrape.health("unhealthy") == "unhealthy"
        assert scrape.health("quiet-0") == "none"

    eventually(check, seconds=40, pause=1)


def test_limits_are_those_that_were_set(agent: Agent) -> None:
    scrape = Exposition.of(agent)
    assert scrape.value("docker_container_memory_limit_bytes", name="limited") == 64 * MIB
    assert scrape.value("docker_container_cpu_limit_cores", name="limited") == 0.2
    assert scrape.value("docker_container_pids_limit", name="limited") == 20
    assert scrape.values("docker_container_memory_limit_bytes", name="quiet-0") == []


def test_throttling_is_counted_where_there_is_a_quota(agent: Agent) -> None:
    def check() -> None:
        scrape = Exposition.of(agent)
        periods = scrape.value("docker_container_cpu_periods_total", name="limited")
        throttled = scrape.value("docker_container_cpu_throttled_periods_total", name="limited")
        assert 0 < throttled <= periods
        assert scrape.value("docker_container_cpu_throttled_seconds_total", name="limited") > 0
        assert scrape.values("docker_container_cpu_periods_total", name="quiet-0") == []

    eventually(check)


def test_cpu_time_lies_between_two_answers_of_the_engine(
    agent: Agent, containers: docker.DockerClient
) -> None:
    before = stats(containers, "limited")["cpu_stats"]
    scrape = Exposition.of(agent)
    after = stats(containers, "limited")["cpu_stats"]
    seen = scrape.value("docker_container_cpu_usage_seconds_total", name="limited")
    assert before["cpu_usage"]["total_usage"] <= round(seen * 1e9) <= after["cpu_usage"]["total_usage"]
    periods = scrape.value("docker_container_cpu_periods_total", name="limited")
    assert before["throttling_data"]["periods"] <= periods <= after["throttling_data"]["periods"]
    user = scrape.value("docker_container_cpu_user_seconds_total", name="limited")
    system = scrape.value("docker_container_cpu_system_seconds_total", name="limited")
    assert user + system == pytest.approx(seen, rel=0.01)


def test_memory_is_what_docker_stats_shows(agent: Agent, engine: PrivateEngine) -> None:
    def check() -> None:
        shown = docker_stats(engine)
        scrape = Exposition.of(agent)
        assert len(shown) == RUNNING
        for name, working_set in shown.items():
            seen = scrape.value("docker_container_memory_working_set_bytes", name=name)
            assert seen == pytest.approx(working_set, rel=0.02), name
        assert shown["filled"] > 25 * MIB

    eventually(check, seconds=30)


def docker_stats(engine: PrivateEngine) -> dict[str, float]:
    """Return what ``docker stats`` prints as memory usage, by container."""
    command = ["docker", "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}"]
    done = subprocess.run(
        command, env=engine.environment, capture_output=True, text=True, check=True, timeout=60
    )
    found = re.findall(r"^(\S+) ([0-9.]+)(\w+) / ", done.stdout, re.MULTILINE)
    return {name: float(number) * UNITS[unit] for name, number, unit in found}


def test_usage_counts_the_file_cache_and_the_working_set_does_not(
    agent: Agent, containers: docker.DockerClient
) -> None:
    def check() -> None:
        memory = stats(containers, "writer")["memory_stats"]
        scrape = Exposition.of(agent)
        usage = scrape.value("docker_container_memory_usage_bytes", name="writer")
        assert usage == pytest.approx(memory["usage"], rel=0.02)
        assert memory["stats"]["inactive_file"] > MIB
        working_set = scrape.value("docker_container_memory_working_set_bytes", name="writer")
        inactive = memory["stats"]["inactive_file"]
        assert working_set == pytest.approx(memory["usage"] - inactive, rel=0.02)

    eventually(check, seconds=30)


def test_block_io_carries_the_disks_name_and_the_engines_numbers(
    agent: Agent, containers: docker.DockerClient
) -> None:
    def check() -> None:
        told = stats(containers, "writer")["blkio_stats"]["io_service_bytes_recursive"]
        written = next(entry["value"] for entry in told if entry["op"] == "write")
        scrape = Exposition.of(agent)
        seen = scrape.value("docker_container_fs_write_bytes_total", name="writer", device="ubda")
        assert seen == written
        assert seen >= 20 * MIB
        assert scrape.value("docker_container_fs_writes_total", name="writer", device="ubda") > 0

    eventually(check, seconds=30)


def test_network_and_pids_are_those_of_the_engine(agent: Agent, containers: docker.DockerClient) -> None:
    def check() -> None:
        told = stats(containers, "quiet-0")
        scrape = Exposition.of(agent)
        labels = {"name": "quiet-0", "interface": "eth0"}
        received = scrape.value("docker_container_network_receive_bytes_total", **labels)
        sent = scrape.value("docker_container_network_transmit_bytes_total", **labels)
        eth0 = told["networks"]["eth0"]
        assert (received, sent) == (eth0["rx_bytes"], eth0["tx_bytes"])
        assert received > 0
        assert scrape.value("docker_container_pids", name="quiet-0") == told["pids_stats"]["current"]

    eventually(check, seconds=30)
