"""The exporter against a real Engine: what it says is what the Engine and the kernel say."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from lab.agent import Agent
from lab.engine import PrivateEngine
from lab.prometheus import Prometheus, promtool
from tests.integration.metrics import Exposition, eventually

pytestmark = [pytest.mark.engine, pytest.mark.lines]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def test_every_container_of_the_demo_has_its_true_state(agent: Agent) -> None:
    def check() -> None:
        scrape = Exposition.of(agent)
        assert scrape.state("demo-web-1") == "running"
        assert scrape.health("demo-web-1") == "healthy"
        assert scrape.state("demo-unhealthy-1") == "running"
        assert scrape.health("demo-unhealthy-1") == "unhealthy"
        assert scrape.state("demo-exited-1") == "exited"
        assert scrape.value("docker_container_exit_code", name="demo-exited-1") == 3
        assert scrape.health("demo-worker-1") == "none"
        assert scrape.state("demo-flapping-1") in ("running", "restarting")
        assert scrape.value("docker_container_restarts_total", name="demo-flapping-1") >= 1

    eventually(check, seconds=30)


@pytest.mark.parametrize("accept", ["text/plain", OPENMETRICS])
def test_promtool_and_the_parsers_take_it(agent: Agent, accept: str) -> None:
    text = agent.get(headers={"Accept": accept})
    assert text.endswith("# EOF\n") == (accept == OPENMETRICS)
    if accept == "text/plain":
        assert promtool("check", "metrics", stdin=text).stdout == ""


def test_usage_of_every_running_container_comes_from_files(agent: Agent) -> None:
    def check() -> None:
        scrape = Exposition.of(agent)
        assert scrape.value("docker_exporter_usage_containers", source="cgroup") >= 5
        assert scrape.value("docker_exporter_usage_containers", source="api") == 0
        assert set(scrape.values("docker_exporter_collector_success")) == {1.0}

    eventually(check)  # one of the demo may end while it is read


def test_limits_are_there_where_they_are_set(agent: Agent) -> None:
    scrape = Exposition.of(agent)
    assert scrape.value("docker_container_memory_limit_bytes", name="demo-hungry-1") == 32 * 2**20
    assert scrape.value("docker_container_cpu_limit_cores", name="demo-worker-1") == 0.05
    assert scrape.values("docker_container_cpu_limit_cores", name="demo-web-1") == []
    assert scrape.values("docker_container_cpu_throttled_periods_total", name="demo-web-1") == []

    def is_throttled() -> None:
        throttled = Exposition.of(agent).value(
            "docker_container_cpu_throttled_periods_total", name="demo-worker-1"
        )
        assert throttled > 0

    eventually(is_throttled)


def test_compose_services_are_counted(agent: Agent) -> None:
    def check() -> None:
        count = partial(Exposition.of(agent).value, "docker_compose_service_containers")
        assert count(compose_service="web", state="running") == 2
        assert count(compose_service="exited", state="exited") == 1

    eventually(check)


def stats(client: docker.DockerClient, name: str) -> dict[str, Any]:
    result: dict[str, Any] = client.containers.get(name).stats(stream=False)
    return result


@pytest.mark.parametrize("name", ["demo-hungry-1", "demo-unhealthy-1", "demo-web-1", "demo-worker-1"])
def test_memory_agrees_with_docker_stats(agent: Agent, project: docker.DockerClient, name: str) -> None:
    def check() -> None:
        memory = stats(project, name)["memory_stats"]
        details = memory["stats"]
        inactive = details.get("total_inactive_file", details.get("inactive_file"))
        working_set = memory["usage"] - inactive
        seen = Exposition.of(agent).value("docker_container_memory_working_set_bytes", name=name)
        assert seen == pytest.approx(working_set, rel=0.02)
        assert seen > 2**17

    eventually(check, seconds=30)


def test_cpu_agrees_with_docker_stats(agent: Agent, project: docker.DockerClient) -> None:
    started, before = time.monotonic(), Exposition.of(agent)
    first = stats(project, "demo-worker-1")
    time.sleep(4)
    second = stats(project, "demo-worker-1")
    after, ended = Exposition.of(agent), time.monotonic()
    name = "docker_container_cpu_usage_seconds_total"
    seen = after.value(name, name="demo-worker-1") - before.value(name, name="demo-worker-1")
    told = second["cpu_stats"]["cpu_usage"]["total_usage"] - first["cpu_stats"]["cpu_usage"]["total_usage"]
    # The scrapes lie around the Engine's two samples, so they can only have seen more, at the quota's rate.
    slack = 0.05 * (ended - started - 4) + 0.02
    assert told / 1e9 <= seen + 0.005
    assert seen <= told / 1e9 + slack


def test_network_and_pids_agree_with_docker_stats(agent: Agent, project: docker.DockerClient) -> None:
    def check() -> None:
        told = stats(project, "demo-hungry-1")
        scrape = Exposition.of(agent)
        received = scrape.value(
            "docker_container_network_receive_bytes_total", name="demo-hungry-1", interface="eth0"
        )
        assert received == told["networks"]["eth0"]["rx_bytes"]
        assert scrape.value("docker_container_pids", name="demo-hungry-1") == told["pids_stats"]["current"]

    eventually(check)


def test_a_change_shows_in_the_next_scrape(agent: Agent, project: docker.DockerClient, busybox: str) -> None:
    container = project.containers.run(busybox, ["sleep", "600"], name="short-lived", detach=True)
    steps = [
        ("running", lambda: None),
        ("paused", container.pause),
        ("running", container.unpause),
        ("exited", lambda: container.stop(timeout=0)),
    ]
    for state, act in steps:
        act()
        eventually(partial(_expect_state, agent, "short-lived", state), seconds=1)
    container.rename("renamed")
    eventually(lambda: _expect_state(agent, "renamed", "exited"), seconds=1)
    container.remove()
    eventually(lambda: _expect_state(agent, "renamed", None), seconds=1)


def _expect_state(agent: Agent, name: str, state: str | None) -> None:
    assert Exposition.of(agent).state(name) == state


def test_an_out_of_memory_kill_is_counted_once(
    agent: Agent, project: docker.DockerClient, busybox: str
) -> None:
    container = _out_of_memory(project, busybox)
    try:

        def check() -> None:
            scrape = Exposition.of(agent)
            assert scrape.state("greedy") == "exited"
            assert scrape.value("docker_container_exit_code", name="greedy") == 137
            assert scrape.value("docker_container_oom_kills_total", name="greedy") == 1

        eventually(check)
    finally:
        container.remove(force=True)


def _out_of_memory(project: docker.DockerClient, busybox: str) -> Container:
    """Return a container that ran out of memory, and of which the Engine knows that.

    An Engine 20.10 misses about one in sixty: it learns of the exit before it is told why.
    """
    command = ["sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=100"]
    for _ in range(5):
        container = project.containers.run(busybox, command, name="greedy", mem_limit="16m", detach=True)
        container.wait()
        container.reload()
        if container.attrs["State"]["OOMKilled"]:
            return container
        container.remove()
    raise AssertionError("the Engine never learned that a container ran out of memory")


def test_hostile_labels_give_valid_exposition(
    engine: PrivateEngine, project: docker.DockerClient, busybox: str
) -> None:
    labels = {
        "com.docker.compose.project": 'quo"te\\back\nline',
        "com.docker.compose.service": "ünï-cødé 🐳 %s %(x)d",
        "huge": "x" * 65536,
        'na"me\n': "value",
    }
    container = project.containers.run(busybox, ["sleep", "600"], name="hostile", labels=labels, detach=True)
    try:
        with Agent(engine.host, ["--container-labels=*"]) as agent:
            agent.wait_ready()
            text = agent.get()
            assert promtool("check", "metrics", stdin=text).returncode == 0
            scrape = Exposition(text)
            assert scrape.value("docker_container_pids", compose_project='quo"te\\back\nline') >= 1
            assert scrape.value("docker_container_info", label_na_me_="value") == 1
    finally:
        container.remove(force=True)


def test_a_host_network_container_shows_no_network_of_its_own(
    agent: Agent, project: docker.DockerClient, busybox: str
) -> None:
    container = project.containers.run(
        busybox, ["sleep", "600"], name="hosted", network_mode="host", detach=True
    )
    try:

        def check() -> None:
            scrape = Exposition.of(agent)
            assert scrape.value("docker_container_pids", name="hosted") == 1
            assert scrape.values("docker_container_network_receive_bytes_total", name="hosted") == []

        eventually(check)
    finally:
        container.remove(force=True)


@pytest.mark.parametrize("protocols", [["PrometheusText0.0.4"], ["OpenMetricsText1.0.0"]])
def test_a_real_prometheus_scrapes_it(agent: Agent, protocols: list[str]) -> None:
    target = agent.url.removeprefix("http://")
    job = {"job_name": "docker", "scrape_interval": "1s", "static_configs": [{"targets": [target]}]}
    modern = {**job, "scrape_protocols": protocols}
    suite = "forky" if protocols == ["OpenMetricsText1.0.0"] else None
    with Prometheus({"scrape_configs": [modern if suite else job]}, suite=suite) as prometheus:
        prometheus.wait_for("up == 1")
        found = prometheus.wait_for('docker_container_state{name="demo-exited-1",state="exited"} == 1')
        assert len(found) == 1
        assert prometheus.wait_for("docker_up == 1")
        assert prometheus.wait_for('count(docker_container_state{state="running"} == 1)')


def test_the_stats_api_gives_the_same_values(engine: PrivateEngine, agent: Agent) -> None:
    with Agent(engine.host, ["--usage-source=api"]) as by_api:
        by_api.wait_ready()

        def is_by_api() -> None:
            assert Exposition.of(by_api).value("docker_exporter_usage_containers", source="api") >= 5

        eventually(is_by_api)  # a busy Engine answers some too late

        def same_values() -> None:
            api, files = Exposition.of(by_api), Exposition.of(agent)
            for name in ("demo-hungry-1", "demo-unhealthy-1"):
                for family in ("docker_container_memory_usage_bytes", "docker_container_pids"):
                    assert api.value(family, name=name) == pytest.approx(
                        files.value(family, name=name), rel=0.02
                    )
            cpu = "docker_container_cpu_usage_seconds_total"
            assert api.value(cpu, name="demo-hungry-1") == pytest.approx(
                files.value(cpu, name="demo-hungry-1"), rel=0.05, abs=0.02
            )

        eventually(same_values)  # a health check may run while one of the two is read


def test_nothing_is_listed_or_inspected_for_a_scrape(agent: Agent) -> None:
    name = "docker_engine_request_duration_seconds_count"

    def calls() -> dict[str, float]:
        scrape = Exposition.of(agent)
        return {
            call: scrape.value(name, call=call) for call in ("container_list", "info", "version", "events")
        } | {"container_stats": sum(scrape.values(name, call="container_stats"))}

    def check() -> None:
        before = calls()
        for _ in range(20):
            agent.get()
        assert calls() == before

    eventually(check)  # what the inventory asks every few minutes may fall into it once
